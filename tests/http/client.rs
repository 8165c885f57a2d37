//! A client that trusts nothing: it reads heads and bodies as they are announced, and whether anything else comes.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

/// A connection, whose calls all have a deadline.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, input: Vec::new() }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("it takes bytes");
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str, fields: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
        self.answer()
    }

    /// The next answer, to anything but HEAD.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.find("Transfer-Encoding").is_some() {
            loop {
                let line = self.until(b"\r\n");
                let size = usize::from_str_radix(line.trim_end(), 16).expect("a size");
                let chunk = self.take(size);
                answer.body.extend(chunk);
                assert_eq!(self.take(2), b"\r\n");
                if size == 0 {
                    return answer;
                }
            }
        }
        let length = answer.find("Content-Length").map_or(0, |length| length.parse().expect("a number"));
        answer.body = self.take(length);
        answer
    }

    /// The next answer without a body, whatever length it announces.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Answer {
        let head = self.until(b"\r\n\r\n");
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest[..3].parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {head}"));
        Answer { status, head, body: Vec::new() }
    }

    /// Expects the connection to end, and nothing else to come.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(self.input.escape_ascii().to_string(), "");
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("an end, not a reset");
        assert_eq!(rest.escape_ascii().to_string(), "");
    }

    /// Whether nothing has come that was not taken.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket");
        let read = self.stream.read(&mut [0; 1]);
        self.stream.set_nonblocking(false).expect("a socket");
        self.input.is_empty() && read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    #[track_caller]
    fn until(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end) {
                let rest = self.input.split_off(at + end.len());
                let text = std::mem::replace(&mut self.input, rest);
                return String::from_utf8(text).expect("text");
            }
            self.fill();
        }
    }

    #[track_caller]
    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.input.len() < count {
            self.fill();
        }
        let rest = self.input.split_off(count);
        std::mem::replace(&mut self.input, rest)
    }

    #[track_caller]
    fn fill(&mut self) {
        let mut buffer = [0; 64 * 1024];
        let count = self.stream.read(&mut buffer).expect("an answer in time");
        assert!(count > 0, "it ended after {}", self.input.escape_ascii());
        self.input.extend_from_slice(&buffer[..count]);
    }
}
