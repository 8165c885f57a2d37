//! Unix datagram sockets: every model answers whoever has a name, and keeps the path's manners.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::support::*;
use crate::{ALL, serve};

/// A directory of its own, removed at the end with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("oneloop-gram-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn server(&self) -> PathBuf {
        self.0.join("s")
    }

    fn url(&self) -> String {
        format!("unixgram:{}", self.server().display())
    }

    /// A socket with a name of its own, connected to the server.
    fn client(&self, name: &str) -> UnixDatagram {
        let client = UnixDatagram::bind(self.0.join(name)).unwrap();
        client.connect(self.server()).expect("it listens");
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn ask(client: &UnixDatagram, message: &[u8], answer: &[u8]) {
    client.send(message).unwrap();
    let mut buffer = vec![0; 70_000];
    let len = client.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..len], answer);
}

/// `oneloop call URL ARGS` and what it printed.
fn call(url: &str, args: &[&str]) -> Ended {
    let mut command = oneloop();
    command.args(["call", url]).args(args);
    run(command)
}

#[test]
fn datagrams_on_a_path_are_answered_by_every_model_and_the_path_is_gone_afterwards() {
    for model in ALL {
        let folder = Folder::new(model);
        let server = serve(model, &["--listen", &folder.url(), "--listen", "tcp://127.0.0.1:0"]);
        assert_eq!(server.listening()[0], folder.url());
        assert_eq!(fs::metadata(folder.server()).unwrap().permissions().mode() & 0o777, 0o600);
        let [one, two] = ["one", "two"].map(|name| folder.client(name));
        ask(&one, b"hello", b"hello");
        ask(&two, b"", b"");
        ask(&one, &[7; 65_507], &[7; 65_507]);
        exchange(&mut server.connect(), b"tcp", b"tcp");
        let ended = server.stop();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("udp_received=3 udp_sent=3"), "{model}: {}", ended.stderr);
        assert!(!folder.server().exists(), "{model}: the path is left behind");
    }
}

#[test]
fn call_gives_itself_a_name_so_that_it_can_be_answered() {
    for model in ALL {
        let folder = Folder::new(&format!("call-{model}"));
        let name = format!("unixgram:@oneloop-gram-{}-{model}", std::process::id());
        let server = serve(model, &["greet", "--delay=50ms", "--listen", &folder.url(), "--listen", &name]);
        assert_eq!(server.listening(), [folder.url(), name.clone()]);
        for url in [folder.url(), name] {
            let ended = call(&url, &["Travis", "JOHN"]);
            assert_eq!(ended.stdout, ["Hello, Travis!", "Hello, JOHN!"], "{model}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_sender_without_a_name_is_heard_and_its_answer_dropped_and_counted() {
    for model in ALL {
        let folder = Folder::new(&format!("unnamed-{model}"));
        let server = serve(model, &["ack", "--print", "--listen", &folder.url()]);
        let nameless = UnixDatagram::unbound().unwrap();
        nameless.send_to(b"psst", folder.server()).unwrap();
        assert_eq!(server.line(), "unixgram:(unnamed) psst", "{model}");
        let named = folder.client("named");
        ask(&named, b"hello", "已收到".as_bytes());
        assert_eq!(server.line(), format!("unixgram:{} hello", folder.0.join("named").display()));
        server.wait_stats(|line| {
            line.contains("udp_received=2 udp_sent=1") && line.contains("udp_send_errors=1")
        });
    }
}

#[test]
fn what_is_longer_than_a_datagram_of_udp_is_refused_whole_and_counted() {
    let folder = Folder::new("long");
    let server = serve("loop", &["--listen", &folder.url()]);
    let client = folder.client("c");
    client.send(&[1; 100_000]).unwrap();
    ask(&client, b"next", b"next");
    server
        .wait_stats(|line| line.contains("udp_received=1 udp_sent=1") && line.contains("udp_recv_errors=1"));
}

#[test]
fn a_client_that_takes_no_answers_loses_them_and_holds_up_nobody() {
    let folder = Folder::new("lazy");
    let server = serve("loop", &["--listen", &folder.url()]);
    // The kernel limits the queue of a socket that is not connected to us (net.unix.max_dgram_qlen).
    let lazy = UnixDatagram::bind(folder.0.join("lazy")).unwrap();
    let other = folder.client("other");
    for _ in 0..5_000 {
        lazy.send_to(b"x", folder.server()).unwrap();
    }
    ask(&other, b"hello", b"hello");
    server.wait_stats(|line| line.contains("udp_received=5001") && line.contains("udp_send_errors="));
}

#[test]
fn a_path_left_behind_is_taken_over_and_one_in_use_is_not() {
    let folder = Folder::new("stale");
    let server = serve("loop", &["--listen", &folder.url()]);
    let mut command = oneloop();
    command.args(["serve", "--listen", &folder.url()]);
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("another program listens there"), "{}", ended.stderr);
    server.signal(Signal::KILL);
    server.wait();
    assert!(folder.server().exists());
    let _server = serve("loop", &["--listen", &folder.url()]);
    ask(&folder.client("c"), b"again", b"again");
}

#[test]
fn whoever_is_not_there_is_named() {
    let folder = Folder::new("nobody");
    let ended = call(&folder.url(), &["a"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("no such socket") && ended.stderr.contains(&folder.url()),
        "{}",
        ended.stderr
    );
    drop(UnixDatagram::bind(folder.server()).unwrap());
    let ended = call(&folder.url(), &["a"]);
    assert!(ended.stderr.contains("nobody listens on that socket"), "{}", ended.stderr);
}

#[test]
fn what_makes_no_sense_with_unix_datagrams_is_refused_with_2() {
    for (args, said) in [
        (&["serve", "once", "--listen", "unixgram:@x"][..], "serve once"),
        (&["serve", "--listen", "unixgram:@x", "--workers", "2"], "--workers 2"),
        (&["serve", "--listen", "unixgram:@x", "--framing", "lines"], "--framing lines"),
        (&["serve", "--listen", "unixgram:"], "no path"),
        (&["load", "unixgram:@x"], "load unix: or udp://"),
        (&["hold", "unixgram:@x"], "unix:"),
        (&["call", "unixgram:@x", "--bind", "127.0.0.1"], "--bind"),
    ] {
        let mut command = oneloop();
        command.args(args);
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
}
