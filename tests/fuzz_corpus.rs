//! What the fuzz targets assert, of their corpora and of some thousand made-up inputs: no fuzzer needed.
//!
//! A finding of the fuzzer becomes a file of the corpus, and a test where the mistake was. `ONELOOP_SEED_CORPUS=1 cargo
//! test --test fuzz_corpus` writes the seeds anew that the fuzzer begins with; docs/reliability.md says how it is run.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what went wrong")]

#[path = "fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

/// Made-up inputs per target.
const INPUTS: u64 = 5_000;

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

/// Says which input it was when one fails.
fn feed(name: &str, input: &[u8], run: fn(&[u8])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        println!("{name}: {}", input.escape_ascii());
        resume_unwind(panic);
    }
}

fn replay(target: &str, run: fn(&[u8])) {
    if std::env::var_os("ONELOOP_SEED_CORPUS").is_some() {
        write_seeds(target);
    }
    let mut files: Vec<PathBuf> =
        fs::read_dir(corpus(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= seeds(target).len(), "seeds are missing in {}", corpus(target).display());
    for file in files {
        feed(&file.display().to_string(), &fs::read(&file).unwrap(), run);
    }
    for number in 0..INPUTS {
        feed(&format!("{target} {number}"), &made_up(number), run);
    }
}

#[test]
fn codecs() {
    replay("codecs", bodies::codecs::run);
}

#[test]
fn session() {
    replay("session", bodies::session::run);
}

#[test]
fn datagrams() {
    replay("datagrams", bodies::datagrams::run);
}

#[test]
fn http() {
    replay("http", bodies::http::run);
}

/// Small numbers, text and the bytes that framings care about, more often than others (splitmix64).
fn made_up(number: u64) -> Vec<u8> {
    const TELLING: &[u8] = b"aab--\r\n\n\0\0\x01\x02\x03\x05\xff\xfe\xc8\xd2\xe4\xf0\xf8exitlo";
    let mut state = number;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((b ^ (b >> 31)) >> 40).unwrap()
    };
    let len = next() % 96;
    let mut one = || if next() % 3 == 0 { next().to_le_bytes()[0] } else { TELLING[next() % TELLING.len()] };
    // The first bytes choose: each choice as often as any other.
    let header: Vec<u8> = (0..8).map(|place: u32| (number / 3_u64.pow(place)).to_le_bytes()[0]).collect();
    header.into_iter().chain((0..len).map(|_| one())).collect()
}

// ---------------------------------------------------------------------------------------------- the seeds

fn write_seeds(target: &str) {
    fs::create_dir_all(corpus(target)).unwrap();
    for (number, seed) in seeds(target).iter().enumerate() {
        fs::write(corpus(target).join(format!("seed-{number:02}")), seed).unwrap();
    }
}

/// One for each way of the first bytes, with something that this way is about.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "codecs" => codec_seeds(),
        "session" => session_seeds(),
        "http" => http_seeds(),
        _ => datagram_seeds(),
    }
}

/// A stream for each framing of `Input::framing`, in its order.
const STREAMS: [&[u8]; 15] = [
    b"any bytes",
    b"hello\r\nworld\n\nlast",
    b"\0\x05hello\0\0\0\x01x",
    b"\0\0\0\x05hello\0\0\0\0",
    b"\x05\0\0\0hello\xff\xff\xff\xff",
    b"abc",
    b"abcabcab",
    b"01234567abcdefgh",
    b"hello\nworld\n",
    b"hello\r\nwor\rld\r\n",
    b"a-b--c---",
    b"aaabaabab",
    b"a-a-a-a-a",
    b"a\0\0b\0",
    b"hello",
];

fn codec_seeds() -> Vec<Vec<u8>> {
    let seed = |(framing, stream): (u8, &&[u8])| [&[framing, 16, 2, 1], *stream].concat();
    (0..).zip(&STREAMS).map(seed).collect()
}

/// Sends these bytes.
fn send(bytes: &[u8]) -> Vec<u8> {
    let count = u8::try_from(bytes.len() - 1).unwrap();
    [&[count], bytes].concat()
}

fn session_seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (framing, stream) in (0..).zip(&STREAMS) {
        for kind in 0..5_u8 {
            let header = [kind, framing, 30, framing % 3, kind % 3, framing % 3, kind];
            let (first, second) = stream.split_at(stream.len() / 2);
            let middle: &[u8] = [&[226, 3][..], &[213, 5], &[244, 1], &[253], &[244, 0]][usize::from(kind)];
            all.push([&header, &send(first)[..], middle, &send(second), &[238], &[200]].concat());
        }
    }
    let lines =
        |kind: u8, story: &[u8]| [&[kind, 1, 30, 0, 0, 0, 0], &send(b"a\nexit\nb\n")[..], story].concat();
    for story in [&[210][..], &[222, 60], &[242], &[244, 2], &[226, 0, 238], &[200, 213, 9]] {
        all.extend((0..5).map(|kind| lines(kind, story)));
    }
    all
}

fn datagram_seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for kind in 0..5_u8 {
        for story in [
            &[0, 0, 3, 1, b'a', b'b', b'c'][..],
            &[160, 0, 1, 0, b'a', 1, 1, b'b', 180],
            &[2, 2, b'x', b'y', 2, 3, b'x', b'y'],
            &[230, 3, 1, 0, b'a', 190, 20],
            &[215, 1, 1, 0, b'a', 190, 20],
            &[160, 1, 1, 0, b'a', 1, 0, b'b', 250, 1, 0, b'c', 180],
        ] {
            all.push([&[kind, kind % 3, kind % 2, kind % 4, kind % 2], story].concat());
        }
    }
    all
}

/// What is said in full, for each of the three ways to look at it; and every word that requests are made of.
fn http_seeds() -> Vec<Vec<u8>> {
    let streams: [&[u8]; 8] = [
        b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\nGET /json HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: [::1]:9\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n",
        b"GET /delay/3 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /bytes/300 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nA: b\r\n\r\nnext",
        b"GET http://localhost/json?a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\nHost: localhost\r\nA: b\r\n c\r\n\r\n",
    ];
    let said = streams.iter().flat_map(|stream| (0..3).map(|what| [&[what, 7], *stream].concat()));
    let words = (0..3).flat_map(|what| {
        [
            &[0, 6][..],
            &[1, 9, 0, 6],
            &[1, 11, 6, 12, 13, 14, 0, 7],
            &[4, 9, 5, 6],
            &[240, 6],
            &[0, 247, 250, 6],
        ]
        .map(|words| [&[129 + what, 3], words].concat())
    });
    said.chain(words).collect()
}
