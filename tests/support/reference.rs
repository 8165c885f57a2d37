//! Framings decoded too simply to be wrong in the same way as the decoders, and a driver that cuts a stream anywhere.
//!
//! Shared by tests/codecs.rs and the fuzz targets.

#![allow(dead_code, unreachable_pub, reason = "each user needs its own part")]

use oneloop::codec::{Codec, Frame, FrameError, Framing};

/// The payloads in order, and what ended the stream if it did not end cleanly.
pub type Outcome = (Vec<Vec<u8>>, Option<FrameError>);

// ---------------------------------------------------------------------------------------- the reference

pub fn reference(framing: &Framing, max: usize, stream: &[u8]) -> Outcome {
    match framing {
        Framing::Raw => (vec![stream.to_vec()], None),
        Framing::Lines => reference_lines(max, stream),
        Framing::Delimited(text) => reference_delimited(text, max, stream),
        Framing::Fixed(size) => reference_fixed(size.get() as usize, stream),
        Framing::Len16 => reference_length(2, max, stream, |h| i64::from(h[0]) * 256 + i64::from(h[1])),
        Framing::Len32 => {
            reference_length(4, max, stream, |h| h.iter().fold(0, |sum, &b| sum * 256 + i64::from(b)))
        }
        Framing::Len32Le => reference_length(4, max, stream, |h| {
            let unsigned = h.iter().rev().fold(0, |sum, &b| sum * 256 + i64::from(b));
            if unsigned >= 1 << 31 { unsigned - (1 << 32) } else { unsigned }
        }),
    }
}

fn one_too_many(max: usize) -> Option<FrameError> {
    Some(FrameError::TooLong { len: max as u64 + 1, max: max as u64 })
}

fn reference_lines(max: usize, stream: &[u8]) -> Outcome {
    let mut frames = Vec::new();
    let mut line = Vec::new();
    for (i, &byte) in stream.iter().enumerate() {
        let last = i + 1 == stream.len();
        if byte != b'\n' {
            line.push(byte);
        }
        if byte == b'\n' || last {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if line.len() > max {
                return (frames, one_too_many(max));
            }
            frames.push(std::mem::take(&mut line));
        }
    }
    (frames, None)
}

fn reference_delimited(text: &[u8], max: usize, stream: &[u8]) -> Outcome {
    let mut frames = Vec::new();
    let mut piece = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        let found = stream[at..].starts_with(text);
        if found {
            at += text.len();
        } else {
            piece.push(stream[at]);
            at += 1;
        }
        if piece.len() > max {
            return (frames, one_too_many(max));
        }
        if found || at == stream.len() {
            frames.push(std::mem::take(&mut piece));
        }
    }
    (frames, None)
}

fn reference_fixed(size: usize, stream: &[u8]) -> Outcome {
    let mut frames: Vec<Vec<u8>> = stream.chunks(size).map(<[u8]>::to_vec).collect();
    let cut = frames.pop_if(|last| last.len() < size);
    (frames, cut.map(|last| FrameError::Truncated { have: last.len() as u64 }))
}

fn reference_length(header: usize, max: usize, mut rest: &[u8], read: fn(&[u8]) -> i64) -> Outcome {
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let cut = Some(FrameError::Truncated { have: rest.len() as u64 });
        if rest.len() < header {
            return (frames, cut);
        }
        let len = read(&rest[..header]);
        if len < 0 {
            let len = i32::try_from(len).expect("32 bits were read");
            return (frames, Some(FrameError::Negative { len }));
        }
        if len > i64::try_from(max).expect("small") {
            return (frames, Some(FrameError::TooLong { len: len.unsigned_abs(), max: max as u64 }));
        }
        let end = header + usize::try_from(len).expect("at most max");
        if rest.len() < end {
            return (frames, cut);
        }
        frames.push(rest[header..end].to_vec());
        rest = &rest[end..];
    }
    (frames, None)
}

// ------------------------------------------------------------------------------------------- the driver

/// How the driver learns of the end of the stream: in a read of its own, or with the last bytes.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Alone,
    WithLastPiece,
}

/// A session's receive side: what has arrived and is not consumed yet.
pub struct Receiver<'a> {
    pub codec: &'a mut dyn Codec,
    pub buffer: Vec<u8>,
    pub frames: Vec<Vec<u8>>,
}

impl Receiver<'_> {
    /// Decodes until more bytes are needed.
    pub fn drain(&mut self, decode: fn(&mut dyn Codec, &[u8]) -> Step) -> Result<(), FrameError> {
        while let Some(frame) = decode(self.codec, &self.buffer)? {
            assert!(frame.payload.start <= frame.payload.end, "{frame:?}");
            assert!(frame.payload.end <= frame.consumed, "{frame:?}");
            assert!((1..=self.buffer.len()).contains(&frame.consumed), "{frame:?}");
            let payload = self.buffer[frame.payload.clone()].to_vec();
            if self.codec.is_canonical(&frame) {
                let mut encoded = Vec::new();
                self.codec.encode(&payload, &mut encoded).expect("canonical, so it can be encoded");
                assert_eq!(encoded, self.buffer[..frame.consumed], "called canonical, and is not");
            }
            self.buffer.drain(..frame.consumed);
            self.frames.push(payload);
        }
        Ok(())
    }

    fn run(&mut self, pieces: &[&[u8]], end: End, held: usize) -> Result<(), FrameError> {
        for (i, piece) in pieces.iter().enumerate() {
            self.buffer.extend_from_slice(piece);
            if matches!(end, End::WithLastPiece) && i + 1 == pieces.len() {
                break;
            }
            self.drain(|codec, src| codec.decode(src))?;
            assert!(self.buffer.len() <= held, "{} bytes kept, {held} would do", self.buffer.len());
        }
        self.drain(|codec, src| codec.decode_eof(src))?;
        assert!(self.buffer.is_empty(), "bytes were neither delivered nor refused");
        Ok(())
    }
}

pub type Step = Result<Option<Frame>, FrameError>;

pub fn drive(framing: &Framing, max: usize, pieces: &[&[u8]], end: End) -> Outcome {
    let mut codec = framing.codec(max);
    let mut receiver = Receiver { codec: &mut *codec, buffer: Vec::new(), frames: Vec::new() };
    let error = receiver.run(pieces, end, most_held(framing, max)).err();
    (receiver.frames, error)
}

/// The most bytes a session has to keep while a decoder waits for more.
pub fn most_held(framing: &Framing, max: usize) -> usize {
    match framing {
        Framing::Raw => 0,
        Framing::Lines => max + 1,
        Framing::Delimited(text) => max + text.len() - 1,
        Framing::Fixed(size) => size.get() as usize - 1,
        Framing::Len16 => (2 + max).saturating_sub(1).max(1),
        Framing::Len32 | Framing::Len32Le => (4 + max).saturating_sub(1).max(3),
    }
}

/// `stream`, cut before each of the positions in `cuts`, which ascend.
pub fn cut(stream: &[u8], cuts: impl IntoIterator<Item = usize>) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for at in cuts {
        pieces.push(&stream[from..at]);
        from = at;
    }
    pieces.push(&stream[from..]);
    pieces
}
