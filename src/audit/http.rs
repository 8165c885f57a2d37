//! As much of HTTP/1 as load generators speak (RFC 9112): heads, bodies of known length, and connections that are kept.

use httparse::{EMPTY_HEADER, Request, Status};

/// The longest head.
const MAX_HEAD: usize = 16 * 1024;

/// The most fields of a head.
const MAX_FIELDS: usize = 64;

const BAD: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const TOO_LARGE: &str =
    "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const NOT_IMPLEMENTED: &str =
    "HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// The connection goes on, which HTTP/1.1 takes for granted.
    Open { has_body: bool },
    /// It goes on, and a client of HTTP/1.0 is told.
    OpenOld { has_body: bool },
    /// It ends.
    Close { has_body: bool },
}

impl Keep {
    pub(super) const fn is_kept(self) -> bool {
        !matches!(self, Self::Close { .. })
    }

    /// The whole reply. One to HEAD has no body, and the length of the one it would have.
    pub(super) const fn reply(self) -> &'static str {
        match self {
            Self::Open { has_body: true } => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
            Self::Open { has_body: false } => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
            Self::OpenOld { has_body: true } => {
                "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nok\n"
            }
            Self::OpenOld { has_body: false } => {
                "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n"
            }
            Self::Close { has_body: true } => {
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n"
            }
            Self::Close { has_body: false } => {
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"
            }
        }
    }
}

/// What the input begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// A part of a head.
    Partial,
    /// A head of `length` bytes, after which `body` bytes follow.
    Whole { length: usize, body: u64, keep: Keep },
    /// Something else; the answer ends the conversation.
    Bad(&'static str),
}

pub(super) fn parse(input: &[u8]) -> Head {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = Request::new(&mut fields);
    match request.parse(input) {
        Ok(Status::Complete(length)) => whole(&request, length),
        Ok(Status::Partial) if input.len() < MAX_HEAD => Head::Partial,
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => Head::Bad(TOO_LARGE),
        Err(_) => Head::Bad(BAD),
    }
}

fn whole(request: &Request<'_, '_>, length: usize) -> Head {
    let is_old = request.version == Some(0);
    let has_body = request.method != Some("HEAD");
    let (mut is_kept, mut body) = (!is_old, None);
    for field in request.headers.iter() {
        let value = field.value.trim_ascii();
        if field.name.eq_ignore_ascii_case("transfer-encoding") {
            return Head::Bad(NOT_IMPLEMENTED);
        } else if field.name.eq_ignore_ascii_case("content-length") {
            match number(value) {
                // Two lengths that differ are how requests are smuggled (RFC 9112 section 6.3).
                Some(length) if body.is_none_or(|before| before == length) => body = Some(length),
                _ => return Head::Bad(BAD),
            }
        } else if field.name.eq_ignore_ascii_case("connection") {
            let has = |word: &[u8]| {
                value.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(word))
            };
            is_kept = !has(b"close") && (is_kept || has(b"keep-alive"));
        }
    }
    let keep = match (is_kept, is_old) {
        (true, false) => Keep::Open { has_body },
        (true, true) => Keep::OpenOld { has_body },
        (false, _) => Keep::Close { has_body },
    };
    Head::Whole { length, body: body.unwrap_or(0), keep }
}

/// Digits only: `parse` would take a sign.
fn number(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
