//! Every framing against a reference that is too simple to be wrong in the same way.
//!
//! TCP may cut a stream anywhere, so the frames and the final error must not depend on the cuts. The
//! reference sees the whole stream at once; the decoder is driven as a session drives it, piece by piece.

use std::mem::size_of;
use std::num::NonZeroU32;

use oneloop::codec::{
    DEFAULT_MAX_FRAME, Decoder, Delimited, Fixed, Frame, FrameError, Framing, LengthPrefixed, Lines, Raw,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

#[path = "support/reference.rs"]
mod reference;

use reference::{End, Outcome, Receiver, cut, drive, reference};

fn framing(text: &str) -> Framing {
    text.parse().expect("the framings of this file are spelled correctly")
}

fn assert_agrees(framing: &Framing, max: usize, pieces: &[&[u8]], want: &Outcome) {
    for end in [End::Alone, End::WithLastPiece] {
        let got = drive(framing, max, pieces, end);
        assert_eq!(&got, want, "{framing}, max {max}, {end:?}, pieces {pieces:?}");
    }
}

// --------------------------------------------------------------------------------------- all the streams

/// Calls `check` with every stream of at most `longest` bytes of `alphabet`.
fn every_stream(alphabet: &[u8], longest: u32, mut check: impl FnMut(&[u8])) {
    for len in 0..=longest {
        for number in 0..alphabet.len().pow(len) {
            let digit = |place| number / alphabet.len().pow(place) % alphabet.len();
            let stream: Vec<u8> = (0..len).map(|place| alphabet[digit(place)]).collect();
            check(&stream);
        }
    }
}

/// Calls `check` with every way to cut `stream`, 2^(n-1) of them.
fn every_segmentation(stream: &[u8], mut check: impl FnMut(&[&[u8]])) {
    let gaps = stream.len().saturating_sub(1);
    for mask in 0..1_u32 << gaps {
        check(&cut(stream, (1..=gaps).filter(|gap| mask >> (gap - 1) & 1 == 1)));
    }
}

#[test]
fn every_segmentation_of_every_short_stream_decodes_alike() {
    for (text, alphabet, longest, maxima) in [
        ("lines", &b"a\r\n"[..], 7, &[0, 1, 2, 9][..]),
        ("delimited:\\n", b"a\n", 7, &[0, 2]),
        ("delimited:--", b"a-", 8, &[0, 1, 3, 9]),
        ("delimited:\\r\\n", b"a\r\n", 6, &[0, 2, 9]),
        ("delimited:aab", b"ab", 9, &[0, 1, 3]),
        ("delimited:abab", b"ab", 9, &[0, 2, 3]),
        ("fixed:1", b"a", 8, &[0]),
        ("fixed:3", b"a", 9, &[0]),
        ("len16", b"\x00\x01\x02", 7, &[0, 1, 2]),
        ("len32", b"\x00\x01", 9, &[0, 1]),
        ("len32le", b"\x00\x01\xff", 6, &[0, 1]),
    ] {
        let framing = framing(text);
        for &max in maxima {
            every_stream(alphabet, longest, |stream| {
                let want = reference(&framing, max, stream);
                every_segmentation(stream, |pieces| assert_agrees(&framing, max, pieces, &want));
            });
        }
    }
}

// -------------------------------------------------------------------------------------- random streams

/// Framings that differ in what the decoder has to remember between two reads.
fn any_framing() -> impl Strategy<Value = Framing> {
    let named = "lines fixed:1 fixed:3 fixed:8 len16 len32 len32le delimited:\\n delimited:\\r\\n \
                 delimited:-- delimited:aab delimited:a-a-a delimited:\\0";
    select(named.split(' ').map(framing).collect::<Vec<_>>())
}

/// Few enough different bytes that terminators, halves of them and small lengths come up all the time.
fn telling_byte() -> impl Strategy<Value = u8> {
    select(b"aab--\r\n\n\0\0\x01\x02\xff".to_vec())
}

/// A part of a stream: a frame this framing accepts, as far as the payload allows, or anything at all.
#[derive(Debug, Clone)]
enum Part {
    Frame(Vec<u8>),
    Telling(Vec<u8>),
    Random(Vec<u8>),
}

fn any_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        6 => vec(telling_byte(), 0..12).prop_map(Part::Frame),
        3 => vec(telling_byte(), 0..12).prop_map(Part::Telling),
        1 => vec(any::<u8>(), 0..24).prop_map(Part::Random),
    ]
}

fn stream_of(framing: &Framing, parts: &[Part]) -> Vec<u8> {
    let codec = framing.codec(DEFAULT_MAX_FRAME);
    let mut stream = Vec::new();
    for part in parts {
        match part {
            Part::Frame(payload) => {
                let mut payload = payload.clone();
                if let Framing::Fixed(size) = framing {
                    payload.resize(size.get() as usize, b'.');
                }
                if codec.encode(&payload, &mut stream).is_err() {
                    stream.extend_from_slice(&payload);
                }
            }
            Part::Telling(bytes) | Part::Random(bytes) => stream.extend_from_slice(bytes),
        }
    }
    stream
}

/// Whether `framing` can say `payload` so that only one reading is possible, decided without its encoder.
fn can_carry(framing: &Framing, max: usize, payload: &[u8]) -> bool {
    match framing {
        Framing::Raw => true,
        Framing::Lines => payload.len() <= max && !payload.contains(&b'\n'),
        Framing::Delimited(text) => {
            let frame = [payload, text].concat();
            payload.len() <= max && (0..payload.len()).all(|at| !frame[at..].starts_with(text))
        }
        Framing::Fixed(size) => payload.len() == size.get() as usize,
        Framing::Len16 | Framing::Len32 | Framing::Len32Le => payload.len() <= max,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_segmentation_decodes_like_the_reference(
        framing in any_framing(),
        max in 0_usize..16,
        parts in vec(any_part(), 0..8),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let stream = stream_of(&framing, &parts);
        let want = reference(&framing, max, &stream);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        assert_agrees(&framing, max, &cut(&stream, cuts), &want);
        assert_agrees(&framing, max, &cut(&stream, 1..stream.len().max(1)), &want);
        for at in 0..=stream.len() {
            assert_agrees(&framing, max, &cut(&stream, [at]), &want);
        }
    }

    #[test]
    fn raw_delivers_each_piece_as_it_came(bytes in vec(any::<u8>(), 0..64), at in any::<Index>()) {
        let pieces = cut(&bytes, [at.index(bytes.len() + 1)]);
        for end in [End::Alone, End::WithLastPiece] {
            let (frames, error) = drive(&Framing::Raw, 0, &pieces, end);
            prop_assert_eq!(error, None);
            prop_assert_eq!(frames.concat(), &bytes[..]);
            prop_assert!(frames.len() <= pieces.len());
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_again(
        framing in any_framing(),
        max in 0_usize..16,
        payloads in vec(vec(telling_byte(), 0..20), 1..6),
    ) {
        let codec = framing.codec(max);
        let mut stream = Vec::new();
        let mut sent = Vec::new();
        for payload in payloads {
            let before = stream.clone();
            let carried = codec.encode(&payload, &mut stream).is_ok();
            prop_assert_eq!(carried, can_carry(&framing, max, &payload), "{} {:?}", framing, payload);
            if carried {
                sent.push(payload);
            } else {
                prop_assert_eq!(&stream, &before, "a refused payload left something behind");
            }
        }
        let got = drive(&framing, max, &[&stream], End::Alone);
        prop_assert_eq!(got, (sent, None));
    }

    #[test]
    fn an_encoded_frame_is_canonical(framing in any_framing(), payload in vec(telling_byte(), 0..12)) {
        let mut codec = framing.codec(16);
        let mut stream = Vec::new();
        if codec.encode(&payload, &mut stream).is_ok() {
            let frame = codec.decode(&stream).expect("valid").expect("whole");
            prop_assert_eq!(frame.consumed, stream.len());
            // After a payload that ends in CR the line ends in CRLF, and lines claim only the single LF.
            let claimed = framing != Framing::Lines || !payload.ends_with(b"\r");
            prop_assert_eq!(codec.is_canonical(&frame), claimed);
        }
    }

    #[test]
    fn a_framing_survives_its_own_display(delimiter in vec(any::<u8>(), 1..12), size in 1..=u32::MAX) {
        let size = NonZeroU32::new(size).expect("from 1");
        for framing in [Framing::Delimited(delimiter.into()), Framing::Fixed(size)] {
            prop_assert_eq!(framing.to_string().parse(), Ok(framing));
        }
    }

    #[test]
    fn parsing_never_panics(text in "(delimited:|fixed:)?[\\\\xnrt0-9a-fé:+-]{0,8}") {
        if let Ok(framing) = text.parse::<Framing>() {
            prop_assert_eq!(framing.to_string().parse(), Ok(framing));
        }
    }
}

// ------------------------------------------------------------------------------------- limits and memory

#[test]
fn a_frame_too_long_is_refused_at_the_first_byte_that_shows_it() {
    for (text, max, stream, want) in [
        ("lines", 3, &b"abcd"[..], 4),
        ("lines", 3, b"abc\rd", 5),
        ("lines", 3, b"ok\nabcd", 7),
        ("delimited:--", 3, b"abcd", 4),
        ("delimited:--", 3, b"abc-d", 5),
        ("delimited:aab", 3, b"xaaaaa", 6),
        ("len16", 3, b"\x00\x04abcd", 2),
        ("len32", 3, b"\x00\x00\x00\x04abcd", 4),
        ("len32le", 3, b"\x04\x00\x00\x00abcd", 4),
        ("len32le", 3, b"\xff\xff\xff\xffabcd", 4),
    ] {
        let framing = framing(text);
        let refused = (0..=stream.len()).find(|&n| {
            let bytewise = cut(&stream[..n], 1..n.max(1));
            let mut codec = framing.codec(max);
            let mut receiver = Receiver { codec: &mut *codec, buffer: Vec::new(), frames: Vec::new() };
            bytewise.iter().any(|piece| {
                receiver.buffer.extend_from_slice(piece);
                receiver.drain(|codec, src| codec.decode(src)).is_err()
            })
        });
        assert_eq!(refused, Some(want), "{framing} {stream:?}");
    }
}

/// A decoder owns no buffer, so a length cannot make it allocate; what is left to get wrong is that it
/// believes one. It waits within the maximum, refuses beyond it, and holds nothing in either case.
#[test]
fn an_announced_length_is_compared_and_nothing_else() {
    const MIB: usize = 1024 * 1024;
    let four_gib = || Err(FrameError::TooLong { len: u64::from(u32::MAX), max: MIB as u64 });
    for (mut decoder, src, want) in [
        (LengthPrefixed::len32(MIB), &b"\x00\x10\x00\x00abc"[..], Ok(None)),
        (LengthPrefixed::len32(MIB), b"\xff\xff\xff\xff", four_gib()),
        (LengthPrefixed::len32(MIB), b"\xff\xff\xff\xffabc", four_gib()),
        (LengthPrefixed::len32(usize::MAX), b"\xff\xff\xff\xffabc", Ok(None)),
        (LengthPrefixed::len32le(MIB), b"\x00\x00\x10\x00abc", Ok(None)),
        (LengthPrefixed::len32le(usize::MAX), b"\xff\xff\xff\x7fabc", Ok(None)),
        (LengthPrefixed::len32le(MIB), b"\xff\xff\xff\xffabc", Err(FrameError::Negative { len: -1 })),
        (LengthPrefixed::len16(MIB), b"\xff\xffabc", Ok(None)),
    ] {
        assert_eq!(decoder.decode(src), want, "{decoder:?} {src:?}");
        let cut = FrameError::Truncated { have: src.len() as u64 };
        assert_eq!(decoder.decode_eof(src), want.and(Err(cut)), "{decoder:?} {src:?}");
    }
}

#[test]
fn a_decoder_costs_a_connection_at_most_16_bytes() {
    for (name, size, want) in [
        ("raw", size_of::<Raw>(), 0),
        ("fixed", size_of::<Fixed>(), 4),
        ("length prefixed", size_of::<LengthPrefixed>(), 8),
        ("lines", size_of::<Lines>(), 12),
        ("delimited", size_of::<Delimited>(), 16),
    ] {
        assert!(size <= want, "{name}: {size} bytes, {want} wanted");
    }
}

#[test]
fn a_mebibyte_byte_by_byte_is_one_frame() {
    let mut stream = vec![b'-'; DEFAULT_MAX_FRAME];
    stream.extend_from_slice(b"+\n");
    for (text, payload) in [("lines", DEFAULT_MAX_FRAME + 1), ("delimited:-+\\n", DEFAULT_MAX_FRAME - 1)] {
        let mut codec = framing(text).codec(payload);
        let found = (0..=stream.len()).find_map(|n| codec.decode(&stream[..n]).expect("within the maximum"));
        assert_eq!(found, Some(Frame { payload: 0..payload, consumed: stream.len() }), "{text}");
    }
}
