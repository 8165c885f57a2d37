//! Responses in whatever pieces they come.

use super::*;
use crate::http::{ChunkError, LengthError};

/// What became of a response: its facts, its body, and what is left of the input.
type Read = Result<Option<(Facts, Vec<u8>, Vec<u8>)>, ResponseError>;

/// Feeds the parts one after the other and then the end of the connection, as a client would.
fn read(parts: &[&[u8]], is_head_request: bool) -> Read {
    let mut reader = ResponseReader::new(is_head_request);
    let (mut kept, mut body) = (Vec::new(), Vec::new());
    for part in parts {
        kept.extend_from_slice(part);
        loop {
            let used = match reader.read(&kept)? {
                Part::NeedMore | Part::Done => break,
                Part::Head(head) => head.end,
                Part::Body(piece) => {
                    body.extend_from_slice(&kept[piece.clone()]);
                    piece.end
                }
            };
            kept.drain(..used);
        }
    }
    reader.read_end()?;
    Ok(Some((reader.facts(), body, kept)))
}

const fn said(status: u16, ends: Ends, keeps_alive: bool) -> Facts {
    Facts { status, ends, keeps_alive }
}

/// A response, whether HEAD was asked for, what it says, its body, and what is behind it.
type Case = (&'static [u8], bool, Facts, &'static [u8], &'static [u8]);

const GOOD: &[Case] = &[
    (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP",
        false,
        said(200, Ends::Length(5), true),
        b"hello",
        b"HTTP",
    ),
    (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nContent-Length: 2, 2\r\nConnection: x, Close\r\n\r\nab",
        false,
        said(200, Ends::Length(2), false),
        b"ab",
        b"",
    ),
    (
        b"HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: 1\r\n\r\nX",
        false,
        said(200, Ends::Chunked, true),
        b"abcde",
        b"X",
    ),
    (b"HTTP/1.0 200 OK\r\n\r\nall of it", false, said(200, Ends::WithConnection, false), b"all of it", b""),
    (b"HTTP/1.1 200\r\n\r\nall", false, said(200, Ends::WithConnection, false), b"all", b""),
    (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
        false,
        said(200, Ends::Length(1), true),
        b"a",
        b"",
    ),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", false, said(200, Ends::Length(1), false), b"a", b""),
    (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
        false,
        said(404, Ends::Length(0), true),
        b"",
        b"",
    ),
    (b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nHTTP", false, said(204, Ends::Length(0), true), b"", b"HTTP"),
    (b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", false, said(304, Ends::Length(0), true), b"", b""),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, said(200, Ends::Length(0), true), b"", b""),
    (b"HTTP/1.1 200 OK\nContent-Length: 2\nX: \xe9\xfc\xc3\xa9\n\nab", false, said(200, Ends::Length(2), true), b"ab", b""),
];

#[test]
fn every_split_of_every_form_reads_the_same() {
    for (input, is_head_request, facts, body, rest) in GOOD {
        let whole = Ok(Some((*facts, body.to_vec(), rest.to_vec())));
        for at in 0..=input.len() {
            let (a, b) = input.split_at(at);
            assert_eq!(read(&[a, b], *is_head_request), whole, "{} split at {at}", input.escape_ascii());
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(read(&bytes, *is_head_request), whole, "{}", input.escape_ascii());
    }
}

#[test]
fn what_is_cut_off_is_told() {
    let truncated = |missing, in_head| Err(ResponseError::Truncated { missing, in_head });
    for (input, error) in [
        (&b""[..], truncated(None, true)),
        (b"HTTP/1.1 200 OK\r\nContent-Le", truncated(None, true)),
        (b"HTTP/1.1 100 Continue\r\n\r\n", truncated(None, true)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", truncated(Some(3), false)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", truncated(None, false)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", truncated(None, false)),
    ] {
        assert_eq!(read(&[input], false), error, "{}", input.escape_ascii());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let ok = "HTTP/1.1 200 OK\r\n";
    for (input, error) in [
        (
            "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
            ResponseError::Head("it does not begin with HTTP/1.1 or HTTP/1.0"),
        ),
        (
            "HTTP/2.0 200 OK\r\n\r\n".to_owned(),
            ResponseError::Head("it does not begin with HTTP/1.1 or HTTP/1.0"),
        ),
        (
            "HTTP/1.1 2x0 OK\r\n\r\n".to_owned(),
            ResponseError::Head("its status is no number, or its reason is no text"),
        ),
        (format!("{ok}a b: c\r\n\r\n"), ResponseError::Head("a header's name is none")),
        (
            format!("{ok}a: \0\r\n\r\n"),
            ResponseError::Head("a header's value has bytes that it may not have"),
        ),
        (
            format!("{ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            ResponseError::Length(LengthError::Differing { first: 1, second: 2 }),
        ),
        (format!("{ok}Content-Length: -1\r\n\r\n"), ResponseError::Length(LengthError::Malformed)),
        (format!("{ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), ResponseError::TwoLengths),
        (format!("{ok}Transfer-Encoding: gzip, chunked\r\n\r\n"), ResponseError::Coding),
        (
            format!("{ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
            ResponseError::Coding,
        ),
        (format!("{ok}Transfer-Encoding: chunked\r\n\r\nx"), ResponseError::Chunk(ChunkError::Size)),
        ("HTTP/1.1 101 Switching\r\n\r\n".to_owned(), ResponseError::Upgraded),
        (format!("{ok}{}\r\n", "a: b\r\n".repeat(MAX_RESPONSE_HEADERS + 1)), ResponseError::TooManyHeaders),
        (format!("{ok}a: {}\r\n\r\n", "x".repeat(MAX_RESPONSE_LINE)), ResponseError::LineTooLong),
        (format!("{ok}{}", format!("a: {}\r\n", "x".repeat(8000)).repeat(5)), ResponseError::HeadTooLong),
        ("HTTP/1.1 100 C\r\n\r\n".repeat(17), ResponseError::TooManyInterim),
    ] {
        let name = &input[..input.len().min(60)];
        assert_eq!(read(&[input.as_bytes()], false), Err(error), "{name}");
        let bytes: Vec<&[u8]> = input.as_bytes().chunks(97).collect();
        assert_eq!(read(&bytes, false), Err(error), "{name}");
    }
}

#[test]
fn the_limits_themselves_are_kept() {
    let fields = "a: b\r\n".repeat(MAX_RESPONSE_HEADERS - 1);
    let line = "x".repeat(MAX_RESPONSE_LINE - 1);
    let input = format!("HTTP/1.1 200 OK\r\n{fields}c: {line}\r\n\r\n");
    assert!(read(&[input.as_bytes()], false).is_ok());
}

#[test]
fn fields_are_shown_as_they_were_sent() {
    let mut seen = Vec::new();
    let head = b"HTTP/1.1 404 Not Found\r\nA: \xe9\r\nB-c:  x y \r\n\r\n";
    let reason = for_each_field(head, |name, value| seen.push((name.to_owned(), value.to_vec())));
    assert_eq!(reason.as_deref(), Ok("Not Found"));
    assert_eq!(seen, [("A".to_owned(), b"\xe9".to_vec()), ("B-c".to_owned(), b"x y".to_vec())]);
}
