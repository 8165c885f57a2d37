//! The head of a request: httparse finds its parts, and what it lets pass but two servers could read differently is refused.
//!
//! Everything here is about one slice of bytes and nothing is allocated: the header fields lie on the stack while they are
//! gone through once, and what a server needs of them is handed on.

use std::fmt;
use std::mem::MaybeUninit;

use httparse::{Error, Header, Status};
use memchr::{memchr, memchr_iter, memchr2, memrchr};

use super::length::{LengthError, agree_on_length};

/// The longest line of a head, its end included, in bytes.
pub const MAX_LINE: usize = 8 * 1024;

/// The most header fields.
pub const MAX_HEADERS: usize = 64;

/// The longest head, from the first byte of the request line to the end of the empty line, in bytes.
pub const MAX_HEAD: usize = 32 * 1024;

/// Why bytes are no head that may be answered as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// Not a request, or one that two readers could understand differently; the text says what is wrong. Status 400.
    Malformed(&'static str),
    /// The request line is longer than [`MAX_LINE`]. Status 414.
    TargetTooLong,
    /// A field is longer than [`MAX_LINE`], there are more than [`MAX_HEADERS`], or all is longer than [`MAX_HEAD`]. Status 431.
    TooLarge,
    /// Neither HTTP/1.0 nor HTTP/1.1. Status 505.
    Version,
    /// A transfer coding other than `chunked`. Status 501.
    TransferCoding,
}

/// How the end of the body is found (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes; 0 where nothing is said.
    Known(u64),
    /// By its last chunk.
    Chunked,
}

/// What a client asks for with `Expect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Nothing,
    /// A word before it sends the body.
    Continue,
    /// Something nobody knows.
    Unknown,
}

/// The head of one request, as slices of the bytes it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// `GET`: a token, in capitals or not.
    pub method: &'a str,
    /// `/path?query`, `http://host/path` or `*`: ASCII without blanks, control characters and `#`.
    pub target: &'a str,
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub minor: u8,
    /// Whether the connection is to be kept afterwards, by version and `Connection`.
    pub keep_alive: bool,
    /// The `Host` field; there is at most one.
    pub host: Option<&'a [u8]>,
    /// Where the body ends.
    pub body: BodyLength,
    /// The `Expect` field; HTTP/1.0 has none.
    pub expect: Expect,
    /// `Range`, unless there are several.
    pub range: Option<&'a [u8]>,
    /// `If-Range`.
    pub if_range: Option<&'a [u8]>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a [u8]>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a [u8]>,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(why) => why,
            Self::TargetTooLong => "the request line is longer than 8 KiB",
            Self::TooLarge => "a line longer than 8 KiB, more than 64 fields, or a head longer than 32 KiB",
            Self::Version => "a version other than HTTP/1.0 and HTTP/1.1",
            Self::TransferCoding => "a transfer coding other than chunked",
        })
    }
}

impl std::error::Error for HeadError {}

/// Finds the head at the front of `input`, and how long it is; `None` when it is not whole yet. Empty lines before it, which
/// a server should ignore (RFC 9112 section 2.2), are the caller's.
///
/// ```
/// use oneloop::http::{BodyLength, parse_request};
///
/// let (request, len) = parse_request(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nmore")?.expect("it is whole");
/// assert_eq!((request.method, request.target, len), ("GET", "/a", 36));
/// assert_eq!((request.body, request.keep_alive), (BodyLength::Known(0), true));
/// assert_eq!(parse_request(b"GET /a HTT")?, None);
/// # Ok::<(), oneloop::http::HeadError>(())
/// ```
///
/// # Errors
/// [`HeadError`] when it can never become one, at the earliest line that shows it.
pub fn parse_request(input: &[u8]) -> Result<Option<(Request<'_>, usize)>, HeadError> {
    let mut space = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(input, &mut space) {
        Ok(Status::Complete(end)) => {
            let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
            else {
                return Err(HeadError::Malformed("no request line"));
            };
            if method.as_ptr() != input.as_ptr() {
                return Err(HeadError::Malformed("an empty line before the request line"));
            }
            check_target(target)?;
            let mut request = Request::new(method, target, minor);
            request.read_fields(parsed.headers, input, end)?;
            Ok(Some((request, end)))
        }
        Ok(Status::Partial) => check_lines(input).map(|()| None),
        // Which version it is shows at the end of the line.
        Err(Error::Version) if memchr(b'\n', input).is_none() => check_lines(input).map(|()| None),
        Err(error) => Err(refusal(error, input)),
    }
}

/// Whether `input`, of which the first `seen` bytes were no whole head, is worth looking at again: only a line's end makes
/// it one. So a head that comes byte by byte is gone through once for each of its lines, not for each of its bytes.
///
/// # Errors
/// [`HeadError`] when the line that is not finished is too long already.
pub fn is_worth_another_look(input: &[u8], seen: usize) -> Result<bool, HeadError> {
    let (before, fresh) = input.split_at(seen.min(input.len()));
    // A CR is nothing by itself: what follows it decides.
    let is_decided = before.ends_with(b"\r") && !fresh.is_empty();
    if is_decided || memchr2(b'\n', b'\r', fresh).is_some() {
        return Ok(true);
    }
    let line = memrchr(b'\n', input).map_or(0, |end| end + 1);
    check_size(line, input.len()).map(|()| false)
}

impl<'a> Request<'a> {
    const fn new(method: &'a str, target: &'a str, minor: u8) -> Self {
        Self {
            method,
            target,
            minor,
            keep_alive: minor == 1,
            host: None,
            body: BodyLength::Known(0),
            expect: Expect::Nothing,
            range: None,
            if_range: None,
            if_modified_since: None,
            if_none_match: None,
        }
    }

    /// One pass over the fields: what each says, and whether its line ends as it must.
    #[inline]
    fn read_fields(&mut self, fields: &[Header<'a>], input: &'a [u8], end: usize) -> Result<(), HeadError> {
        let mut said = Said::default();
        let mut line = 0;
        for field in fields {
            let next = field.name.as_ptr().addr() - input.as_ptr().addr();
            check_line(input, line, next)?;
            line = next;
            self.read_field(field, &mut said)?;
        }
        check_line(input, line, end - 2)?;
        check_line(input, end - 2, end)?;
        if end > MAX_HEAD {
            return Err(HeadError::TooLarge);
        }
        if self.minor == 0 {
            self.expect = Expect::Nothing;
        }
        self.keep_alive = !said.close && (self.minor == 1 || said.keep_alive);
        self.body = said.body_length(self.minor)?;
        Ok(())
    }

    /// The length of a name decides almost everything about it.
    #[inline]
    fn read_field(&mut self, field: &Header<'a>, said: &mut Said) -> Result<(), HeadError> {
        let (name, value) = (field.name, field.value);
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            4 if is_host(name) => return self.read_host(value),
            // Two are none that we know.
            5 if is("range") => self.range = if self.range.is_none() { Some(value) } else { Some(b"") },
            6 if is("expect") => self.expect = self.expect.and(value),
            8 if is("if-range") => self.if_range = Some(value),
            10 if is("connection") => said.connection(value),
            13 if is("if-none-match") => self.if_none_match = Some(value),
            14 if is("content-length") => said.length(value)?,
            17 if is("transfer-encoding") => said.coding(value)?,
            17 if is("if-modified-since") => self.if_modified_since = Some(value),
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn read_host(&mut self, value: &'a [u8]) -> Result<(), HeadError> {
        match self.host.replace(value) {
            None => Ok(()),
            Some(_) => Err(HeadError::Malformed("more than one Host")),
        }
    }
}

impl Expect {
    fn and(self, value: &[u8]) -> Self {
        let known = value.eq_ignore_ascii_case(b"100-continue");
        if known && self != Self::Unknown { Self::Continue } else { Self::Unknown }
    }
}

/// What the fields say about the connection and the body, before it is known whether that goes together.
#[derive(Debug, Default)]
struct Said {
    close: bool,
    keep_alive: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Said {
    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    #[cold]
    fn length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        let length = agree_on_length(self.length, value).map_err(|error| {
            HeadError::Malformed(match error {
                LengthError::Differing { .. } => "differing Content-Length",
                _ => "a Content-Length that is no number of 64 bits",
            })
        })?;
        self.length = Some(length);
        Ok(())
    }

    #[cold]
    fn coding(&mut self, value: &[u8]) -> Result<(), HeadError> {
        if std::mem::replace(&mut self.chunked, true) {
            return Err(HeadError::Malformed("more than one Transfer-Encoding"));
        }
        if value.eq_ignore_ascii_case(b"chunked") { Ok(()) } else { Err(HeadError::TransferCoding) }
    }

    /// RFC 9112 section 6.3; where it lets a server choose, this one refuses.
    fn body_length(&self, minor: u8) -> Result<BodyLength, HeadError> {
        match (self.chunked, self.length) {
            (false, length) => Ok(BodyLength::Known(length.unwrap_or(0))),
            (true, Some(_)) => Err(HeadError::Malformed("Content-Length beside Transfer-Encoding")),
            (true, None) if minor == 0 => Err(HeadError::Malformed("Transfer-Encoding in HTTP/1.0")),
            (true, None) => Ok(BodyLength::Chunked),
        }
    }
}

/// The one field that every request has: all of its name at once.
#[inline]
fn is_host(name: &str) -> bool {
    let name = <[u8; 4]>::try_from(name.as_bytes()).map_or(0, u32::from_ne_bytes);
    // Of the bytes that a name may consist of, only letters become these letters.
    name | 0x2020_2020 == u32::from_ne_bytes(*b"host")
}

/// Printable ASCII only, without a fragment, in one of the forms of RFC 9112 section 3.2 that a server may be sent.
fn check_target(target: &str) -> Result<(), HeadError> {
    // Nothing is branched on for each byte: targets are short, and mostly good.
    let odd = |found: bool, byte: &u8| found | (*byte >= 0x80) | (*byte == b'#');
    if target.as_bytes().iter().fold(false, odd) {
        return Err(HeadError::Malformed("a byte that no request target may contain"));
    }
    if target.starts_with('/') { Ok(()) } else { check_rare_target(target) }
}

#[cold]
fn check_rare_target(target: &str) -> Result<(), HeadError> {
    if target == "*" {
        return Ok(());
    }
    let scheme = target.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    if scheme { Ok(()) } else { Err(HeadError::Malformed("a request target that is no path")) }
}

/// `input[from..to]` is a line of a head and must end as one. httparse takes a bare LF for an end too: others do not, and
/// two servers that see different lines see different requests.
#[inline]
fn check_line(input: &[u8], from: usize, to: usize) -> Result<(), HeadError> {
    if !input[from..to].ends_with(b"\r\n") {
        return Err(HeadError::Malformed("a line that does not end with CR LF"));
    }
    check_size(from, to)
}

/// A line from here to there, whole or not.
#[inline]
const fn check_size(from: usize, to: usize) -> Result<(), HeadError> {
    if to - from <= MAX_LINE && to <= MAX_HEAD {
        Ok(())
    } else if from == 0 {
        Err(HeadError::TargetTooLong)
    } else {
        Err(HeadError::TooLarge)
    }
}

/// The lines of a head that is not whole.
#[cold]
fn check_lines(input: &[u8]) -> Result<(), HeadError> {
    let mut line = 0;
    for end in memchr_iter(b'\n', input) {
        check_line(input, line, end + 1)?;
        line = end + 1;
    }
    check_size(line, input.len())
}

#[cold]
fn refusal(error: Error, input: &[u8]) -> HeadError {
    let line = &input[..memchr(b'\n', input).unwrap_or(input.len())];
    let version = line.trim_ascii_end().split(|byte| *byte == b' ').nth(2);
    let names_a_version =
        matches!(version, Some(&[b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']));
    HeadError::Malformed(match error {
        Error::TooManyHeaders => return HeadError::TooLarge,
        Error::Version if names_a_version => return HeadError::Version,
        Error::HeaderName => "a field whose name is no token with a colon behind it",
        Error::HeaderValue => "a byte that no field may contain",
        Error::NewLine => "a line that does not end with CR LF",
        _ => "no request line",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "Host: localhost\r\n";

    fn error(text: &str) -> HeadError {
        parse_request(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn what_two_servers_could_read_differently_is_malformed() {
        for head in [
            "GET / HTTP/1.1\nHost: localhost\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\n\n",
            "GET / HTTP/1.1\r\nHost: localhost\n\n",
            "GET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\n",
            "GET / HTTP/1.1\r\nA: b\n",
            "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
            "GET / HTTP/1.1\r\nHost\t: localhost\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n\tfolded\r\n\r\n",
            "GET / HTTP/1.1\r\n A: b\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n",
            "GET / HTTP/1.1\r\nA\0: b\r\n\r\n",
            "GET /\0 HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
            "GET / HTTP/1.1\r\nA\r\n\r\n",
            "GET / HTTP/1.1\r\n: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1a\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
            "\nGET / HTTP/1.1\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\n\r\n",
            "\n",
            "\rG",
            "GET  / HTTP/1.1\r\n\r\n",
            " GET / HTTP/1.1\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "GET /\t HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET /#top HTTP/1.1\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\n\r\n",
            "GET a HTTP/1.1\r\n\r\n",
            "GET localhost:1 HTTP/1.1\r\n\r\n",
            "GET https://localhost/ HTTP/1.1\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / http/1.1\r\n\r\n",
            "G\"T / HTTP/1.1\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}",
        ] {
            assert!(matches!(error(head), HeadError::Malformed(_)), "{head:?}: {:?}", error(head));
        }
    }

    #[test]
    fn what_is_clear_and_not_known_is_said_so() {
        for (head, expected) in [
            ("GET / HTTP/2.0\r\n\r\n", HeadError::Version),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadError::Version),
            ("GET / HTTP/1.2\r\n\r\n", HeadError::Version),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", HeadError::TransferCoding),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", HeadError::TransferCoding),
            ("GET / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", HeadError::TransferCoding),
        ] {
            assert_eq!(error(head), expected, "{head:?}");
        }
    }

    #[test]
    fn a_head_has_three_limits_and_each_holds_before_it_is_whole() {
        let field = |len: usize| format!("A: {}\r\n", "b".repeat(len - "A: \r\n".len()));
        let target =
            |len: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(len - "GET / HTTP/1.1\r\n".len()));
        let start = "GET / HTTP/1.1\r\n";
        let full = MAX_HEAD - 3 * MAX_LINE - start.len() - 2;
        let whole = |lines: &[String]| format!("{}\r\n", lines.concat());
        for head in [
            whole(&[target(MAX_LINE)]),
            whole(&[start.into(), field(MAX_LINE)]),
            whole(&[start.into(), field(10).repeat(MAX_HEADERS)]),
            whole(&[start.into(), field(MAX_LINE).repeat(3), field(full)]),
        ] {
            let (_, len) = parse_request(head.as_bytes()).expect("within the limits").expect("whole");
            assert_eq!(len, head.len());
        }
        for (head, expected) in [
            (target(MAX_LINE + 1), HeadError::TargetTooLong),
            (whole(&[target(MAX_LINE + 1)]), HeadError::TargetTooLong),
            ("A".repeat(MAX_LINE + 1), HeadError::TargetTooLong),
            (format!("{start}{}", field(MAX_LINE + 1)), HeadError::TooLarge),
            (whole(&[start.into(), field(MAX_LINE + 1)]), HeadError::TooLarge),
            (format!("{start}A: {}", "b".repeat(MAX_LINE)), HeadError::TooLarge),
            (format!("{start}{}", field(10).repeat(MAX_HEADERS + 1)), HeadError::TooLarge),
            (whole(&[start.into(), field(MAX_LINE).repeat(3), field(full + 1)]), HeadError::TooLarge),
            (format!("{start}{}", field(MAX_LINE).repeat(4)), HeadError::TooLarge),
        ] {
            assert_eq!(error(&head), expected, "{} bytes", head.len());
        }
    }

    #[test]
    fn no_part_of_a_good_head_is_refused_or_taken_for_whole() {
        let head =
            format!("POST /a?b=%20 HTTP/1.1\r\n{HOST}EXPECT: 100-Continue\r\ncontent-length: 5\r\n\r\n");
        for end in 0..head.len() {
            assert_eq!(parse_request(&head.as_bytes()[..end]), Ok(None), "{end} bytes");
        }
        let (request, len) = parse_request(head.as_bytes()).expect("good").expect("whole");
        assert_eq!(len, head.len());
        assert_eq!((request.method, request.target, request.minor), ("POST", "/a?b=%20", 1));
        assert_eq!(request.host, Some(&b"localhost"[..]));
        assert_eq!((request.body, request.expect), (BodyLength::Known(5), Expect::Continue));
    }

    #[test]
    fn the_connection_is_kept_by_version_and_by_what_is_said() {
        for (version, said, kept) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: Keep-Alive\r\n", true),
            ("1.1", "Connection: keep-alive, CLOSE\r\n", false),
            ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false),
            ("1.1", "Connection: closed\r\n", true),
            ("1.0", "", false),
            ("1.0", "Connection: keep-alive\r\n", true),
            ("1.0", "Connection: TE , keep-alive\r\n", true),
            ("1.0", "Connection: keep-alive, close\r\n", false),
        ] {
            let head = format!("GET / HTTP/{version}\r\n{said}\r\n");
            let (request, _) = parse_request(head.as_bytes()).expect("good").expect("whole");
            assert_eq!(request.keep_alive, kept, "{head:?}");
        }
    }

    #[test]
    fn expectations_are_known_or_not() {
        for (said, expected) in [
            ("", Expect::Nothing),
            ("Expect: 100-CONTINUE\r\n", Expect::Continue),
            ("Expect: 200-ok\r\n", Expect::Unknown),
            ("Expect: 100-continue\r\nExpect: x\r\n", Expect::Unknown),
            ("Expect: x\r\nExpect: 100-continue\r\n", Expect::Unknown),
        ] {
            let head = format!("GET / HTTP/1.1\r\n{said}\r\n");
            let (request, _) = parse_request(head.as_bytes()).expect("good").expect("whole");
            assert_eq!(request.expect, expected, "{head:?}");
        }
    }

    #[test]
    fn only_the_end_of_a_line_is_worth_another_look() {
        let start = b"GET / HTTP/1.1\r\nA: b";
        assert_eq!(is_worth_another_look(start, 16), Ok(false));
        assert_eq!(is_worth_another_look(start, 15), Ok(true));
        let long = [b"GET / HTTP/1.1\r\n".to_vec(), vec![b'a'; MAX_LINE + 1]].concat();
        assert_eq!(is_worth_another_look(&long, 100), Err(HeadError::TooLarge));
        assert_eq!(is_worth_another_look(&long[16..], 100), Err(HeadError::TargetTooLong));
    }
}
