//! A response, read as it comes: head, body and end, whichever of the three ways its length is told (RFC 9112, 6.3).

mod error;

use std::ops::Range;

use httparse::{EMPTY_HEADER, Header};

pub use self::error::ResponseError;
use super::chunked::Chunked;
use super::length::agree_on_length;

/// The longest head: status line, header fields and the empty line.
pub const MAX_RESPONSE_HEAD: usize = 32 * 1024;

/// The longest header field.
pub const MAX_RESPONSE_LINE: usize = 8 * 1024;

/// The most header fields of a head.
pub const MAX_RESPONSE_HEADERS: usize = 100;

/// The most interim responses (1xx) before the one that counts.
const MAX_INTERIM: u8 = 16;

/// Reads one response.
///
/// It keeps no bytes: an unfinished head must be shown again with more behind it. Interim responses (1xx) are skipped. Lines of the
/// head may end with a bare LF (RFC 9112, 2.2): many a small server does that, and whoever asked knows whose answer this is.
///
/// ```
/// use oneloop::http::{Part, ResponseReader};
///
/// let mut reader = ResponseReader::new(false);
/// let input = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// let Part::Head(head) = reader.read(input)? else { panic!("it is all there") };
/// assert_eq!((reader.facts().status, reader.facts().keeps_alive), (200, true));
/// let Part::Body(body) = reader.read(&input[head.end..])? else { panic!("so is the body") };
/// assert_eq!(&input[head.end..][body], b"hello");
/// assert!(reader.is_done());
/// # Ok::<(), oneloop::http::ResponseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ResponseReader {
    is_head_request: bool,
    state: State,
    facts: Facts,
    interim: u8,
    /// How much of an unfinished head was looked through for its end.
    scanned: usize,
}

/// What was found at the front of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Not enough for anything: show the same bytes with more behind them.
    NeedMore,
    /// The head of the response that counts, which lies here. What is before it are interim ones; all up to its end is consumed.
    Head(Range<usize>),
    /// A piece of the body lies here, perhaps an empty one. All up to its end is consumed; before it is what the chunked coding adds.
    Body(Range<usize>),
    /// The response is complete; nothing is consumed, and what is there belongs to the next one.
    Done,
}

/// What a head says about its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The status code.
    pub status: u16,
    /// Where the body ends.
    pub ends: Ends,
    /// Whether another request may follow on the same connection.
    pub keeps_alive: bool,
}

/// Where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// After so many bytes.
    Length(u64),
    /// Where the chunked coding says so.
    Chunked,
    /// With the connection, so that nobody can tell whether it is all there.
    WithConnection,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Head,
    Length(u64),
    Chunked(Chunked),
    WithConnection,
    Done,
}

impl ResponseReader {
    /// Before the first byte of the answer to a request, which was a HEAD request or not: the answer to one has no body.
    #[must_use]
    pub const fn new(is_head_request: bool) -> Self {
        let facts = Facts { status: 0, ends: Ends::Length(0), keeps_alive: false };
        Self { is_head_request, state: State::Head, facts, interim: 0, scanned: 0 }
    }

    /// What the head has said. Meaningless before it has come.
    #[must_use]
    pub const fn facts(&self) -> Facts {
        self.facts
    }

    /// Whether the whole response has come. One that ends with its connection never says so.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Goes on to the next part.
    ///
    /// # Errors
    /// [`ResponseError`]: the connection must end. The reader is not to be used again.
    pub fn read(&mut self, input: &[u8]) -> Result<Part, ResponseError> {
        match &mut self.state {
            State::Done => Ok(Part::Done),
            State::Head => self.read_head(input),
            _ if input.is_empty() => Ok(Part::NeedMore),
            State::WithConnection => Ok(Part::Body(0..input.len())),
            State::Length(left) => {
                let there = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= there as u64;
                if *left == 0 {
                    self.state = State::Done;
                }
                Ok(Part::Body(0..there))
            }
            State::Chunked(chunked) => {
                let piece = chunked.decode(input).map_err(ResponseError::Chunk)?;
                if chunked.is_done() {
                    self.state = State::Done;
                }
                // Only what adds no byte to the body ends behind it, so that the end of one tells all.
                let body = if piece.body.is_empty() { piece.consumed..piece.consumed } else { piece.body };
                Ok(Part::Body(body))
            }
        }
    }

    /// The connection has ended: whether the response is complete with what has come.
    ///
    /// # Errors
    /// [`ResponseError::Truncated`] when it is not.
    pub fn read_end(&mut self) -> Result<(), ResponseError> {
        match self.state {
            State::Done => Ok(()),
            State::WithConnection => {
                self.state = State::Done;
                Ok(())
            }
            State::Head => Err(ResponseError::Truncated { missing: None, in_head: true }),
            State::Length(left) => Err(ResponseError::Truncated { missing: Some(left), in_head: false }),
            State::Chunked(_) => Err(ResponseError::Truncated { missing: None, in_head: false }),
        }
    }

    fn read_head(&mut self, input: &[u8]) -> Result<Part, ResponseError> {
        let mut start = 0;
        loop {
            let rest = &input[start..];
            // What is before it is shown again, and skipped again: it is no more than a few lines.
            let begun = if start == 0 { self.scanned } else { 0 };
            // Without a further line there is nothing to be found out.
            if begun > 0 && memchr::memchr(b'\n', &rest[begun.min(rest.len())..]).is_none() {
                self.scanned = rest.len();
                return check_unfinished(rest);
            }
            let Some((facts, len)) = parse_head(rest, self.is_head_request)? else {
                self.scanned = if start == 0 { rest.len() } else { 0 };
                return check_unfinished(rest);
            };
            if facts.status >= 200 {
                self.facts = facts;
                self.state = state_of(facts.ends);
                return Ok(Part::Head(start..start + len));
            }
            start += len;
            self.interim = u8::try_from(interim_in(&input[..start])).unwrap_or(u8::MAX);
            if self.interim > MAX_INTERIM {
                return Err(ResponseError::TooManyInterim);
            }
        }
    }
}

/// Parses a head: what it says, and its length. `None` while it is unfinished. An interim one has a status below 200 and no body.
///
/// # Errors
/// [`ResponseError`]: it can never become a head, or what it says makes no sense.
pub fn parse_head(input: &[u8], is_head_request: bool) -> Result<Option<(Facts, usize)>, ResponseError> {
    let mut headers = [EMPTY_HEADER; MAX_RESPONSE_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(input).map_err(ResponseError::of)? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(len) if len > MAX_RESPONSE_HEAD => Err(ResponseError::HeadTooLong),
        httparse::Status::Complete(len) => {
            let status = response.code.unwrap_or(0);
            let is_old = response.version == Some(0);
            Ok(Some((facts(status, is_old, response.headers, is_head_request)?, len)))
        }
    }
}

/// Goes through the fields of a whole head: its reason phrase, and each name and value as they were sent.
///
/// # Errors
/// [`ResponseError`], which [`ResponseReader`] has had before.
pub fn for_each_field(head: &[u8], mut each: impl FnMut(&str, &[u8])) -> Result<String, ResponseError> {
    let mut headers = [EMPTY_HEADER; MAX_RESPONSE_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(head).map_err(ResponseError::of)?;
    response.headers.iter().for_each(|field| each(field.name, field.value));
    Ok(response.reason.unwrap_or("").to_owned())
}

const fn state_of(ends: Ends) -> State {
    match ends {
        Ends::Length(0) => State::Done,
        Ends::Length(length) => State::Length(length),
        Ends::Chunked => State::Chunked(Chunked::new()),
        Ends::WithConnection => State::WithConnection,
    }
}

fn check_unfinished(head: &[u8]) -> Result<Part, ResponseError> {
    if head.len() > MAX_RESPONSE_HEAD { Err(ResponseError::HeadTooLong) } else { Ok(Part::NeedMore) }
}

/// How many heads these are.
fn interim_in(heads: &[u8]) -> usize {
    let ends = |at: &usize| matches!(heads[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]);
    memchr::memchr_iter(b'\n', heads).filter(ends).count()
}

fn facts(
    status: u16,
    is_old: bool,
    headers: &[Header<'_>],
    is_head_request: bool,
) -> Result<Facts, ResponseError> {
    let (mut length, mut coding, mut says_close, mut says_keep) = (None, None, false, false);
    for field in headers {
        if field.name.len() + field.value.len() > MAX_RESPONSE_LINE {
            return Err(ResponseError::LineTooLong);
        } else if is(field, "content-length") {
            length = Some(agree_on_length(length, field.value).map_err(ResponseError::Length)?);
        } else if is(field, "transfer-encoding") {
            // Chunked must be the last, and any other before it would have to be undone.
            let is_chunked = coding.is_none() && field.value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            coding = Some(is_chunked);
        } else if is(field, "connection") {
            let mut options = field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            says_close |= options.clone().any(|option| option.eq_ignore_ascii_case(b"close"));
            says_keep |= options.any(|option| option.eq_ignore_ascii_case(b"keep-alive"));
        }
    }
    let ends = match (status, length, coding) {
        (101, _, _) => return Err(ResponseError::Upgraded),
        (100..=199 | 204 | 304, _, _) => Ends::Length(0),
        _ if is_head_request => Ends::Length(0),
        (_, Some(_), Some(_)) => return Err(ResponseError::TwoLengths),
        (_, _, Some(false)) => return Err(ResponseError::Coding),
        (_, _, Some(true)) => Ends::Chunked,
        (_, Some(length), None) => Ends::Length(length),
        (_, None, None) => Ends::WithConnection,
    };
    let keeps_alive = !says_close && (says_keep || !is_old) && ends != Ends::WithConnection;
    Ok(Facts { status, ends, keeps_alive })
}

fn is(field: &Header<'_>, name: &str) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests;
