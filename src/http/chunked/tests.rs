//! The chunked coding in whatever pieces it comes.

use super::*;

/// The body, and what is left of the input behind its end; `None` when the end has not come.
type Read = Result<(Vec<u8>, Option<Vec<u8>>), ChunkError>;

/// Feeds the parts one after the other, as two reads would.
fn read(parts: &[&[u8]]) -> Read {
    let (mut chunked, mut body, mut rest) = (Chunked::new(), Vec::new(), Vec::new());
    for part in parts {
        let mut input = *part;
        while !input.is_empty() && !chunked.is_done() {
            let piece = chunked.decode(input)?;
            assert!(piece.consumed > 0 && piece.body.end <= piece.consumed);
            body.extend_from_slice(&input[piece.body]);
            input = &input[piece.consumed..];
        }
        rest.extend_from_slice(input);
    }
    Ok((body, chunked.is_done().then_some(rest)))
}

const GOOD: &[u8] = b"5\r\nhello\r\n00A;name=\"v;\xe9\" ;b\r\n0123456789\r\n1 \t; x\r\n!\r\n0;last\r\nA-b: c \xff\r\nD:\r\n\r\nGET /";

#[test]
fn every_split_reads_the_same() {
    let whole = Ok((b"hello0123456789!".to_vec(), Some(b"GET /".to_vec())));
    assert_eq!(read(&[GOOD]), whole);
    for at in 0..=GOOD.len() {
        let (a, b) = GOOD.split_at(at);
        assert_eq!(read(&[a, b]), whole, "split at {at}");
    }
    let bytes: Vec<&[u8]> = GOOD.chunks(1).collect();
    assert_eq!(read(&bytes), whole);
}

#[test]
fn a_body_that_is_cut_off_is_not_done() {
    for end in 0..GOOD.len() - b"GET /".len() {
        let (_, rest) = read(&[&GOOD[..end]]).expect("nothing is wrong with what is there");
        assert_eq!(rest, None, "cut at {end}");
    }
}

const BAD: &[(&[u8], ChunkError)] = &[
    (b"\r\n", ChunkError::Size),
    (b" 5\r\n", ChunkError::Size),
    (b"+5\r\n", ChunkError::Size),
    (b"-1\r\n", ChunkError::Size),
    (b";x\r\n", ChunkError::Size),
    (b"\n", ChunkError::Size),
    (b"0x5\r\n", ChunkError::Extension),
    (b"5,\r\n", ChunkError::Extension),
    (b"5 \r\n", ChunkError::Extension),
    (b"5;\0\r\n", ChunkError::Extension),
    (b"5;\x7f\r\n", ChunkError::Extension),
    (b"5\n", ChunkError::LineEnd),
    (b"5;x\n", ChunkError::LineEnd),
    (b"5 \n", ChunkError::LineEnd),
    (b"5\r5", ChunkError::LineEnd),
    (b"5\r\r\n", ChunkError::LineEnd),
    (b"1\r\nab", ChunkError::LineEnd),
    (b"1\r\na\n", ChunkError::LineEnd),
    (b"1\r\na\rb", ChunkError::LineEnd),
    (b"10000000000000000\r\n", ChunkError::TooLarge),
    (b"fffffffffffffffff\r\n", ChunkError::TooLarge),
    (b"0\r\n\n", ChunkError::LineEnd),
    (b"0\r\n\rx", ChunkError::LineEnd),
    (b"0\r\na: b\n", ChunkError::LineEnd),
    (b"0\r\na: b\rc", ChunkError::LineEnd),
    (b"0\r\na\n", ChunkError::LineEnd),
    (b"0\r\na b: c\r\n", ChunkError::Trailer),
    (b"0\r\na : c\r\n", ChunkError::Trailer),
    (b"0\r\n: c\r\n", ChunkError::Trailer),
    (b"0\r\na: b\r\n folded\r\n", ChunkError::Trailer),
    (b"0\r\na: \0\r\n", ChunkError::Trailer),
    (b"0\r\nabc\r\n", ChunkError::Trailer),
];

#[test]
fn what_could_be_read_in_two_ways_is_refused_at_every_split() {
    for (input, error) in BAD {
        for at in 0..=input.len() {
            let (a, b) = input.split_at(at);
            assert_eq!(read(&[a, b]), Err(*error), "{} split at {at}", input.escape_ascii());
        }
    }
}

#[test]
fn the_largest_size_is_taken_and_leaves_its_count() {
    let mut chunked = Chunked::new();
    let piece = chunked.decode(b"FFFFFFFFFFFFFFFF\r\nab").expect("64 bits");
    assert_eq!(piece, Piece { consumed: 20, body: 18..20 });
    assert_eq!(chunked.state, State::Data(u64::MAX - 2));
}

#[test]
fn lines_and_trailers_have_a_limit_each() {
    let line = |extra: usize| {
        let padding = "x".repeat(MAX_CHUNK_LINE as usize - "1;\r\n".len() + extra);
        format!("1;{padding}\r\na\r\n").repeat(3) + "0\r\n\r\n"
    };
    assert_eq!(read(&[line(0).as_bytes()]), Ok((b"aaa".to_vec(), Some(Vec::new()))));
    assert_eq!(read(&[line(1).as_bytes()]), Err(ChunkError::LineTooLong));
    let zeros = "0".repeat(MAX_CHUNK_LINE as usize + 1);
    assert_eq!(read(&[zeros.as_bytes()]), Err(ChunkError::LineTooLong));

    let trailers = |extra: usize| {
        let value = "x".repeat(MAX_TRAILERS as usize - "a: b\r\nc:\r\n\r\n".len() + extra);
        format!("0\r\na: b\r\nc:{value}\r\n\r\n")
    };
    assert_eq!(read(&[trailers(0).as_bytes()]), Ok((Vec::new(), Some(Vec::new()))));
    assert_eq!(read(&[trailers(1).as_bytes()]), Err(ChunkError::TrailersTooLong));
}
