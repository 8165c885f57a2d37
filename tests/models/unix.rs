//! Unix sockets: who may connect, what becomes of the path, and names without one.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::*;
use crate::{ALL, serve};

/// A directory of its own, removed at the end with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("oneloop-models-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }

    fn url(&self) -> String {
        format!("unix:{}", self.socket().display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn connect_unix(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[track_caller]
fn assert_echo(stream: &mut UnixStream) {
    stream.write_all(b"hello\0\xff").unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello\0\xff");
}

#[test]
fn a_path_is_served_on_every_model_and_gone_afterwards() {
    for model in ALL {
        let folder = Folder::new(&format!("path-{model}"));
        let server = serve(model, &["--listen", "tcp://127.0.0.1:0", "--listen", &folder.url()]);
        assert_eq!(server.listening()[1], folder.url());
        let mut client = connect_unix(&folder.socket());
        assert_echo(&mut client);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
        exchange(&mut server.connect(), b"tcp", b"tcp");
        drop(client);
        let (begun, ended) = (Instant::now(), server.stop());
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert!(begun.elapsed() < Duration::from_secs(5), "{model}: {:?}", begun.elapsed());
        assert!(!folder.socket().exists(), "{model}: the path is left behind");
    }
}

#[test]
fn a_pending_client_of_a_path_is_drained() {
    for model in ALL {
        let folder = Folder::new(&format!("drain-{model}"));
        let server = serve(model, &["greet", "--delay=200ms", "--listen", &folder.url()]);
        let mut client = connect_unix(&folder.socket());
        client.write_all(b"A").unwrap();
        server.wait_stats(|line| line.contains("frames=1"));
        server.signal(Signal::TERM);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "Hello, A!", "{model}");
        drop(client);
        assert_eq!(server.wait().status.code(), Some(0));
    }
}

#[test]
fn a_message_that_is_begun_on_a_path_may_come_to_its_end_in_a_drain() {
    for model in ALL {
        let folder = Folder::new(&format!("begun-{model}"));
        let server = serve(model, &["--framing=lines", "--listen", &folder.url()]);
        let (mut client, mut idle) = (connect_unix(&folder.socket()), connect_unix(&folder.socket()));
        client.write_all(b"one\nbeg").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
        let begun = Instant::now();
        server.signal(Signal::TERM);
        server.wait_log("draining");
        if model != "iterative" {
            assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "{model}: an idle one ends at once");
        }
        client.write_all(b"un\n").unwrap_or_else(|error| panic!("{model}: {error}"));
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "begun\n", "{model}");
        drop((client, idle));
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(0), "{model}: {}", ended.stderr);
        assert!(begun.elapsed() < Duration::from_secs(5), "{model}: {:?}", begun.elapsed());
        assert!(!ended.stderr.contains("drain limit"), "{model}: {}", ended.stderr);
    }
}

#[test]
fn the_path_is_removed_after_a_second_signal_too() {
    for model in ALL {
        let folder = Folder::new(&format!("twice-{model}"));
        let server = serve(model, &["greet", "--delay=1h", "--listen", &folder.url()]);
        let mut client = connect_unix(&folder.socket());
        client.write_all(b"A").unwrap();
        server.wait_stats(|line| line.contains("frames=1"));
        server.signal(Signal::TERM);
        server.wait_log("draining");
        server.signal(Signal::TERM);
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(143), "{}", ended.stderr);
        assert!(!folder.socket().exists(), "{model}: the path is left behind");
    }
}

#[test]
fn an_idle_client_of_a_path_is_ended_as_idle() {
    for model in ALL {
        let folder = Folder::new(&format!("idle-{model}"));
        let server = serve(model, &["--idle-timeout=200ms", "-v", "--listen", &folder.url()]);
        let (mut client, begun) = (connect_unix(&folder.socket()), Instant::now());
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "{model}");
        assert!(begun.elapsed() >= Duration::from_millis(199), "{model}: {:?}", begun.elapsed());
        let line = server.wait_log("closed slot=");
        assert!(line.contains("reason=\"idle\""), "{model}: {line}");
    }
}

#[test]
fn an_abstract_name_is_served() {
    for model in ALL {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("oneloop-models-{}-{model}", std::process::id());
        let server = serve(model, &["--listen", &format!("unix:@{name}")]);
        assert_eq!(server.listening(), [format!("unix:@{name}")]);
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let mut client = UnixStream::connect_addr(&address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_echo(&mut client);
    }
}

#[test]
fn only_the_owner_may_connect_unless_others_are_let_in_whatever_the_umask() {
    let folder = Folder::new("mode");
    for (umask, option, expected) in [
        ("000", None, 0o600),
        ("077", None, 0o600),
        ("077", Some("--unix-mode=666"), 0o666),
        ("022", Some("--unix-mode=660"), 0o660),
    ] {
        let mut command = Command::new("sh");
        command.env_remove("RUST_LOG").args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\"")]);
        command.args([env!("CARGO_BIN_EXE_oneloop"), "serve", "--listen", &folder.url()]).args(option);
        let server = Server::start_command(command);
        assert_eq!(mode_of(&folder.socket()), expected, "umask {umask} {option:?}");
        assert_echo(&mut connect_unix(&folder.socket()));
        assert_eq!(server.stop().status.code(), Some(0));
    }
}

#[test]
fn a_path_left_behind_by_a_kill_is_taken_over() {
    let folder = Folder::new("stale");
    let server = serve("loop", &["--listen", &folder.url()]);
    server.signal(Signal::KILL);
    server.wait();
    assert!(folder.socket().exists(), "nobody could remove it");
    let server = serve("threads", &["--listen", &folder.url()]);
    assert_echo(&mut connect_unix(&folder.socket()));
    assert_eq!(server.stop().status.code(), Some(0));
}

#[test]
fn a_path_in_use_and_a_file_that_is_no_socket_are_left_alone() {
    let folder = Folder::new("use");
    let first = serve("loop", &["--listen", &folder.url()]);
    let refused = |expected: &str| {
        let mut command = oneloop();
        command.args(["serve", "--listen", &folder.url()]);
        let ended = run(command);
        assert_eq!((ended.status.code(), ended.stdout.len()), (Some(1), 0), "{}", ended.stderr);
        assert!(ended.stderr.contains(&folder.url()) && ended.stderr.contains(expected), "{}", ended.stderr);
    };
    refused("ss -lxp");
    assert_echo(&mut connect_unix(&folder.socket()));
    first.stop();
    fs::write(folder.socket(), "precious").unwrap();
    refused("choose another path");
    assert_eq!(fs::read(folder.socket()).unwrap(), b"precious");
}

#[test]
fn whoever_has_no_name_is_printed_as_that() {
    for model in ALL {
        let folder = Folder::new(&format!("print-{model}"));
        let server = serve(model, &["discard", "--print", "--listen", &folder.url()]);
        connect_unix(&folder.socket()).write_all(b"hello").unwrap();
        let line = server.line();
        assert_eq!(line, "unix:(unnamed) hello", "{model}");
    }
}
