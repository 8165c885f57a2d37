//! Running the program with bytes in and bytes out, and small servers that do just one thing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::{PATIENCE, Server, oneloop};

/// What a call came to.
pub(crate) struct Called {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Called {
    /// Expects success without a word of complaint, and this on standard output.
    #[track_caller]
    pub(crate) fn expect(&self, stdout: impl AsRef<[u8]>) {
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!((shown(&self.stdout), self.stderr.as_str()), (shown(stdout.as_ref()), ""));
        assert_eq!(self.status.code(), Some(0));
    }

    /// Expects this exit code, this on standard output, and each of these on standard error.
    #[track_caller]
    pub(crate) fn expect_failure(&self, code: i32, stdout: &str, stderr: &[&str]) {
        assert_eq!(self.status.code(), Some(code), "{}", self.stderr);
        assert_eq!(self.stdout.escape_ascii().to_string(), stdout.escape_default().to_string());
        assert!(self.stderr.starts_with("oneloop: "), "{}", self.stderr);
        for text in stderr {
            assert!(self.stderr.contains(text), "no '{text}' in: {}", self.stderr);
        }
    }
}

/// `oneloop call URL ARGS`, with nothing on standard input.
#[track_caller]
pub(crate) fn call(url: &str, args: &[&str]) -> Called {
    call_with(url, args, b"")
}

/// The same with this on standard input.
#[track_caller]
pub(crate) fn call_with(url: &str, args: &[&str], stdin: &[u8]) -> Called {
    let mut calling = Calling::start(url, args);
    let mut input = calling.stdin.take().expect("it is not taken yet");
    let stdin = stdin.to_vec();
    // It may end without reading any of it.
    thread::spawn(move || drop(input.write_all(&stdin)));
    calling.wait()
}

/// A call that is still going on. Dropping it kills and reaps the process.
pub(crate) struct Calling {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    stderr: Receiver<String>,
}

impl Calling {
    pub(crate) fn start(url: &str, args: &[&str]) -> Self {
        let mut command = oneloop();
        command.args(["call", url]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let (line, lines) = channel();
        thread::spawn(move || {
            loop {
                let mut text = Vec::new();
                match out.read_until(b'\n', &mut text) {
                    Ok(count) if count > 0 && line.send(text).is_ok() => {}
                    _ => return,
                }
            }
        });
        let mut err = child.stderr.take().expect("piped");
        let (text, stderr) = channel();
        thread::spawn(move || {
            let mut all = String::new();
            let _ = err.read_to_string(&mut all);
            let _ = text.send(all);
        });
        Self { child, stdin, lines, stderr }
    }

    /// Types a line.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it is open");
        stdin.write_all(line.as_bytes()).expect("it reads");
    }

    /// The next line printed.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line");
        String::from_utf8(line).expect("text")
    }

    /// Waits for its end. Standard input stays as it is.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Called {
        // Standard error ends with the process; when that does not come, it is killed by the panic.
        let mut stdout = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            stdout.extend(line);
        }
        let stderr = self.stderr.recv_timeout(PATIENCE).expect("it ends");
        let status = self.child.wait().expect("our own child");
        Called { status, stdout, stderr }
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The URL of the first listener.
pub(crate) fn url(server: &Server) -> String {
    format!("tcp://{}", server.address())
}

/// A server for one connection: `serve` holds the conversation, in a thread of its own. What it returns can be waited
/// for. Its calls have a deadline.
pub(crate) fn once<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, Receiver<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("tcp://{}", listener.local_addr().expect("it is bound"));
    let (result, results) = channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody calls");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
        let _ = result.send(serve(stream));
    });
    (url, results)
}

/// A folder of this test alone, removed when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("oneloop-call-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a folder of our own");
        Self(path)
    }

    pub(crate) fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().expect("our own name").to_owned()
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("our own folder");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Bytes of every value, the same every time, without a pattern that a lost or doubled block would keep.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}
