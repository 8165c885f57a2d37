//! Any segmentation of a stream gives what the whole stream gives, and what a naive decoder gives.
//!
//! Input: framing, maximum, how to cut; the rest is the stream.

use oneloop::codec::Framing;

use super::input::Input;
use super::reference::{End, cut, drive, reference};

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let framing = input.framing();
    let max = usize::from(input.byte() % 40);
    let (step, skew) = (usize::from(input.byte()), usize::from(input.byte()));
    let stream = input.0;
    if framing != Framing::Raw {
        let want = reference(&framing, max, stream);
        for pieces in
            [vec![stream], cut(stream, 1..stream.len().max(1)), cut(stream, cuts(step, skew, stream.len()))]
        {
            for end in [End::Alone, End::WithLastPiece] {
                assert_eq!(
                    drive(&framing, max, &pieces, end),
                    want,
                    "{framing}, max {max}, pieces {pieces:?}"
                );
            }
        }
    }
    assert_returns(&framing, max, stream);
}

/// Ascending positions: `step` apart, and a little more or less.
fn cuts(step: usize, skew: usize, len: usize) -> impl Iterator<Item = usize> {
    let place = move |number: usize| number * (step + 1) + number * skew % (step + 1);
    (1..).map(place).take_while(move |at| *at < len)
}

/// What can be encoded is decoded again, alone and whole; what cannot be leaves nothing behind.
fn assert_returns(framing: &Framing, max: usize, payload: &[u8]) {
    let mut codec = framing.codec(max);
    let mut wire = b"before".to_vec();
    if codec.encode(payload, &mut wire).is_err() {
        assert_eq!(wire, b"before", "{framing}");
        return;
    }
    let wire = &wire[b"before".len()..];
    if wire.is_empty() {
        return;
    }
    let frame = codec.decode(wire).expect("just encoded").expect("whole");
    assert_eq!((&wire[frame.payload], frame.consumed), (payload, wire.len()), "{framing}");
}
