//! `oneloop get` from outside: the real program, against servers that are scripted here.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says with a panic what went wrong")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use support::{PATIENCE, has_ipv6, oneloop, reset};

/// What a server does after it has written.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Reset,
    /// Nothing, until the other side ends.
    Hold,
}

/// A server that answers each connection's request as a function of its head says, until it is dropped with the process.
struct Scripted {
    address: SocketAddr,
    requests: Receiver<String>,
}

impl Scripted {
    fn start(answer: impl Fn(&str) -> (Vec<u8>, Then) + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0", answer)
    }

    fn start_at(address: &str, answer: impl Fn(&str) -> (Vec<u8>, Then) + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, requests) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let head = read_head(&mut stream);
                let (bytes, then) = answer(&head);
                // The test may have ended, and so may the client, which is sometimes what is tested.
                let _ = tell.send(head);
                let _ = stream.write_all(&bytes);
                match then {
                    Then::Close => {}
                    Then::Reset => reset(stream),
                    Then::Hold => {
                        let _ = stream.read(&mut [0]);
                    }
                }
            }
        });
        Self { address, requests }
    }

    /// Always the same answer.
    fn always(bytes: &[u8], then: Then) -> Self {
        let bytes = bytes.to_vec();
        Self::start(move |_| (bytes.clone(), then))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn request(&self) -> String {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn get(arguments: &[&str]) -> Output {
    oneloop().arg("get").args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// It ended so, printed this, and said something with each of these in it.
#[track_caller]
fn assert_ended(output: &Output, code: i32, stdout: &[u8], said: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(output.stdout.escape_ascii().to_string(), stdout.escape_ascii().to_string(), "{stderr}");
    for text in said {
        assert!(stderr.contains(text), "no '{text}' in: {stderr}");
    }
    if code == 0 {
        assert_eq!(stderr, "", "nothing is said of what went well");
    }
}

/// An empty folder of a test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("oneloop-get-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> String {
        self.0.join("file").to_str().unwrap().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let names =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const LENGTH: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: 1\r\n\r\n";
const UNTIL_CLOSE: &[u8] = b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello";
const INTERIM: &[u8] = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 5\n\nhello";

#[test]
fn a_body_is_printed_whichever_way_its_end_is_told() {
    for (answer, then) in [
        (LENGTH, Then::Close),
        (LENGTH, Then::Hold),
        (CHUNKED, Then::Close),
        (CHUNKED, Then::Hold),
        (UNTIL_CLOSE, Then::Close),
        (INTERIM, Then::Hold),
    ] {
        let server = Scripted::always(answer, then);
        assert_ended(&get(&[&server.url("/a?b")]), 0, b"hello", &[]);
        let request = server.request();
        assert!(request.starts_with("GET /a?b HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("\r\nHost: {}\r\n", server.address)), "{request}");
    }
}

#[test]
fn a_file_appears_when_it_is_whole() {
    let folder = Folder::new("whole");
    for answer in [LENGTH, CHUNKED, UNTIL_CLOSE] {
        fs::write(folder.file(), "what was there before, and longer").unwrap();
        let server = Scripted::always(answer, Then::Close);
        assert_ended(&get(&[&server.url("/"), "-o", &folder.file()]), 0, b"", &[]);
        assert_eq!(fs::read(folder.file()).unwrap(), b"hello");
        assert_eq!(folder.names(), ["file"]);
    }
}

#[test]
fn a_large_body_is_the_same_on_both_sides() {
    let folder = Folder::new("large");
    let body: Vec<u8> = (0..3_000_000_u32).map(|k| (k % 251) as u8).collect();
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(&body);
    let server = Scripted::always(&answer, Then::Close);
    assert_ended(&get(&[&server.url("/"), "-o", &folder.file()]), 0, b"", &[]);
    assert!(fs::read(folder.file()).unwrap() == body);
    let output = get(&[&server.url("/")]);
    assert!(output.status.success() && output.stdout == body);
}

#[test]
fn what_is_cut_off_is_an_error_and_leaves_no_file() {
    let cut = [
        (&b""[..], Then::Close, "before the headers did"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", Then::Close, "before the headers did"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Then::Close, "4 bytes had not come"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Then::Reset, "reset the connection"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
            Then::Close,
            "before the last chunk",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            Then::Close,
            "before the last chunk",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
            Then::Close,
            "before the last chunk",
        ),
        (UNTIL_CLOSE, Then::Reset, "reset the connection"),
    ];
    let folder = Folder::new("cut");
    for (answer, then, said) in cut {
        let server = Scripted::always(answer, then);
        assert_ended(&get(&[&server.url("/"), "-o", &folder.file()]), 1, b"", &[said]);
        assert_eq!(folder.names(), [""; 0], "{}", answer.escape_ascii());
        // What was there before stays.
        fs::write(folder.file(), "old").unwrap();
        assert_eq!(get(&[&server.url("/"), "-o", &folder.file()]).status.code(), Some(1));
        assert_eq!(fs::read(folder.file()).unwrap(), b"old");
        assert_eq!(folder.names(), ["file"]);
        fs::remove_file(folder.file()).unwrap();
        assert_eq!(get(&[&server.url("/")]).status.code(), Some(1));
    }
}

#[test]
fn what_is_no_http_is_refused() {
    for (answer, said) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "no HTTP response"),
        (b"HTTP/2 200 OK\r\n\r\n", "no HTTP response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "both 1 and 2"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", "no number"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no hexadecimal number"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer coding"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "nobody asked for"),
    ] {
        let server = Scripted::always(answer, Then::Hold);
        assert_ended(&get(&[&server.url("/")]), 1, b"", &[said]);
    }
    let endless =
        Scripted::always(&[b"HTTP/1.1 200 OK\r\n", &b"a: b\r\n".repeat(50_000)[..]].concat(), Then::Hold);
    assert_ended(&get(&[&endless.url("/")]), 1, b"", &["headers"]);
    let long = Scripted::always(&[b"HTTP/1.1 200 OK\r\na: ", &[b'x'; 100_000][..]].concat(), Then::Hold);
    assert_ended(&get(&[&long.url("/")]), 1, b"", &["32768 bytes"]);
}

/// A server on which `/0` redirects to `/1`, and so on; `/N` answers.
fn redirecting(last: u32) -> Scripted {
    Scripted::start(move |head| {
        let number: u32 = head.split(['/', ' ']).nth(2).and_then(|text| text.parse().ok()).unwrap();
        let answer = if number == last {
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned()
        } else {
            format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 2\r\n\r\nno", number + 1)
        };
        (answer.into_bytes(), Then::Close)
    })
}

#[test]
fn redirects_are_followed_five_times() {
    for (count, code) in [(0, 0), (1, 0), (5, 0), (6, 1)] {
        let server = redirecting(count);
        let output = get(&[&server.url("/0")]);
        if code == 0 {
            assert_ended(&output, 0, b"hello", &[]);
        } else {
            assert_ended(&output, 1, b"", &["more than 5 redirects", "/5 to ", "--redirects"]);
        }
    }
    let server = redirecting(6);
    assert_ended(&get(&[&server.url("/0"), "--redirects", "6"]), 0, b"hello", &[]);
    assert_ended(&get(&[&server.url("/0"), "--redirects", "0"]), 0, b"no", &[]);
}

#[test]
fn a_redirect_leads_where_it_says_or_is_refused() {
    let to = |location: &'static str| {
        Scripted::start(move |head| {
            let answer = if head.starts_with("GET /a/b?c ") {
                format!("HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
            } else {
                let target = head.split(' ').nth(1).unwrap();
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len())
            };
            (answer.into_bytes(), Then::Close)
        })
    };
    for (location, target) in
        [("d", "/a/d"), ("../d?e#f", "/d?e"), ("/d e", "/d%20e"), ("?x", "/a/b?x"), ("/ü", "/%C3%BC")]
    {
        assert_ended(&get(&[&to(location).url("/a/b?c")]), 0, target.as_bytes(), &[]);
    }
    for (location, said) in [
        ("https://127.0.0.1/", "TLS is not spoken"),
        ("ftp://127.0.0.1/", "expected http://"),
        ("http://u:p@127.0.0.1/", "ends up in logs"),
        ("b?c", "a redirect loop"),
        ("http://", "no host"),
    ] {
        let said = said.replace("ends up", "end up");
        assert_ended(&get(&[&to(location).url("/a/b?c")]), 1, b"", &[&said]);
    }
}

#[test]
fn what_is_for_one_host_is_not_sent_to_another() {
    let other = Scripted::always(LENGTH, Then::Close);
    let location = other.url("/there");
    let first = Scripted::start(move |_| {
        (format!("HTTP/1.1 307 Go\r\nLocation: {location}\r\n\r\n").into_bytes(), Then::Close)
    });
    let headers = ["-H", "Authorization: secret", "-H", "Cookie: c", "-H", "X-Other: o"];
    let output = get(&[&[first.url("/").as_str()], &headers[..]].concat());
    assert_ended(&output, 0, b"hello", &[]);
    let (asked, redirected) = (first.request(), other.request());
    assert!(asked.contains("Authorization: secret") && asked.contains("X-Other: o"), "{asked}");
    assert!(!redirected.contains("secret") && !redirected.contains("Cookie"), "{redirected}");
    assert!(redirected.contains("X-Other: o"), "{redirected}");
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    let folder = Folder::new("cap");
    for answer in [LENGTH, CHUNKED, UNTIL_CLOSE] {
        let server = Scripted::always(answer, Then::Close);
        let output = get(&[&server.url("/"), "--max-size", "4", "-o", &folder.file()]);
        assert_ended(&output, 1, b"", &["longer than 4 bytes", "--max-size"]);
        assert_eq!(folder.names(), [""; 0]);
        assert_ended(&get(&[&server.url("/"), "--max-size", "5"]), 0, b"hello", &[]);
    }
}

#[test]
fn a_status_of_400_or_more_is_an_error_whose_body_is_shown_and_never_a_file() {
    let folder = Folder::new("status");
    let server = Scripted::always(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", Then::Close);
    assert_ended(&get(&[&server.url("/")]), 1, b"gone", &["answered 404 Not Found"]);
    let to_file = [server.url("/"), "-o".to_owned(), folder.file()];
    let mut to_file: Vec<&str> = to_file.iter().map(String::as_str).collect();
    assert_ended(&get(&to_file), 1, b"", &["answered 404 Not Found", "was not written", "--any-status"]);
    assert_eq!(folder.names(), [""; 0]);
    to_file.push("--any-status");
    assert_ended(&get(&to_file), 0, b"", &[]);
    assert_eq!(fs::read(folder.file()).unwrap(), b"gone");
}

#[test]
fn headers_are_shown_whatever_their_encoding_and_do_nothing_to_a_terminal() {
    let answer =
        b"HTTP/1.1 200 Gut\r\nA: caf\xe9\r\nB: \xe5\xb7\xb2\r\nC: x\ty\r\nContent-Length: 2\r\n\r\nhi";
    let server = Scripted::always(answer, Then::Close);
    let shown = "HTTP/1.1 200 Gut\nA: café\nB: 已\nC: x\\ty\nContent-Length: 2\n\n";
    assert_ended(&get(&[&server.url("/"), "-i"]), 0, format!("{shown}hi").as_bytes(), &[]);
    let head = Scripted::always(&answer[..answer.len() - 2], Then::Hold);
    assert_ended(&get(&[&head.url("/"), "-I"]), 0, shown.as_bytes(), &[]);
    assert!(head.request().starts_with("HEAD / HTTP/1.1\r\n"));
}

#[test]
fn json_has_what_is_known_of_the_answer() {
    let folder = Folder::new("json");
    let server = redirecting(1);
    let output = get(&[&server.url("/0"), "--json", "-o", &folder.file()]);
    assert_eq!(output.status.code(), Some(0));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["schema"], &found["status"]), (&"oneloop.get/1".into(), &200.into()));
    assert_eq!((&found["length"], &found["reason"]), (&5.into(), &"OK".into()));
    assert_eq!((&found["url"], &found["redirects"][0]), (&server.url("/1").into(), &server.url("/0").into()));
    assert_eq!(found["headers"][0], serde_json::json!({"name": "Content-Length", "value": "5"}));
    assert_eq!(found["file"], folder.file());
}

#[test]
fn a_server_that_is_too_slow_is_given_up() {
    let folder = Folder::new("slow");
    for (answer, said) in [
        (&b""[..], "all headers did not come within 200ms"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "all headers did not come within 200ms"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "more of the body did not come within 200ms"),
    ] {
        let server = Scripted::always(answer, Then::Hold);
        let output = get(&[&server.url("/"), "--timeout", "200ms", "-o", &folder.file()]);
        assert_ended(&output, 1, b"", &[said, "--timeout"]);
        assert_eq!(folder.names(), [""; 0]);
    }
}

#[test]
fn nobody_there_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    assert_ended(&get(&[&format!("http://{address}/")]), 1, b"", &["connection refused"]);
    assert_ended(&get(&["http://no-such-host.invalid/"]), 1, b"", &["no-such-host.invalid"]);
    assert_ended(&get(&["https://127.0.0.1/"]), 2, b"", &["TLS is not spoken"]);
}

#[test]
fn ipv6_is_written_in_brackets() {
    if has_ipv6() {
        let server = Scripted::start_at("[::1]:0", |_| (LENGTH.to_vec(), Then::Close));
        assert_ended(&get(&[&server.url("/")]), 0, b"hello", &[]);
        assert!(server.request().contains(&format!("\r\nHost: [::1]:{}\r\n", server.address.port())));
    }
}

#[test]
fn whoever_has_read_enough_is_no_error() {
    let body = vec![b'x'; 4_000_000];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let server = Scripted::always(&[head.as_bytes(), &body].concat(), Then::Close);
    let mut child = oneloop().args(["get", &server.url("/")]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let folder = Folder::new("interrupt");
    let server = Scripted::always(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Then::Hold);
    let mut command: Command = oneloop();
    let mut child = command.args(["get", &server.url("/"), "-o", &folder.file()]).spawn().unwrap();
    // Its handlers are there before it asks.
    server.request();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_link_is_followed_and_a_device_is_written_to() {
    let folder = Folder::new("link");
    let (real, link) = (folder.0.join("real"), folder.file());
    fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let server = Scripted::always(LENGTH, Then::Close);
    assert_ended(&get(&[&server.url("/"), "-o", &link]), 0, b"", &[]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&real).unwrap(), b"hello");
    assert_ended(&get(&[&server.url("/"), "-o", "/dev/null"]), 0, b"", &[]);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    assert_ended(&get(&[&server.url("/"), "-o", folder.0.to_str().unwrap()]), 1, b"", &["cannot write"]);
    assert_ended(&get(&[&server.url("/"), "-o", "/no/such/folder/x"]), 1, b"", &["cannot write"]);
}

#[test]
fn a_client_that_keeps_its_side_open_is_answered_by_python() {
    if !support::has_program("python3") {
        return;
    }
    let folder = Folder::new("python");
    fs::write(folder.0.join("page.txt"), "from python").unwrap();
    let mut server = Command::new("python3")
        .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"])
        .current_dir(&folder.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stdout = std::io::BufReader::new(server.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut said).unwrap();
    let port = said.split("port ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    let url = |path: &str| format!("http://127.0.0.1:{port}/{path}");
    let (found, missing) = (get(&[&url("page.txt")]), get(&[&url("no")]));
    server.kill().unwrap();
    server.wait().unwrap();
    assert_ended(&found, 0, b"from python", &[]);
    assert_eq!(missing.status.code(), Some(1));
}

/// A server that has shut its side down at once: the request is still sent, and what came before the end is read.
#[test]
fn an_answer_before_the_question_is_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(UNTIL_CLOSE).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        read_head(&mut stream)
    });
    assert_ended(&get(&[&format!("http://{address}/")]), 0, b"hello", &[]);
    server.join().unwrap();
}
