//! Decoding and session throughput without sockets: `cargo bench --bench session`.
//!
//! The groups `copy` and `timer` are the experiments behind the seam (docs/measurements.md): what a copy of
//! every reply costs, and what a timer per message costs.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use oneloop::codec::{Decoder, Delimited, Fixed, LengthPrefixed, Lines};
use oneloop::services::Echo;
use oneloop::session::{Context, Framed, Pass, Protocol, ProtocolError, Service, Session, Step};
use oneloop::{Address, codec::Raw};

const BATCH: usize = 64 * 1024;

fn main() {
    divan::main();
}

/// Repeats one frame until a batch is full.
fn batch_of(frame: &[u8]) -> Vec<u8> {
    frame.iter().copied().cycle().take(BATCH / frame.len() * frame.len()).collect()
}

fn decode_all(decoder: &mut impl Decoder, input: &[u8]) -> usize {
    let (mut at, mut frames) = (0, 0);
    while let Ok(Some(frame)) = decoder.decode(black_box(&input[at..])) {
        at += frame.consumed;
        frames += 1;
    }
    frames
}

fn bench_decoder(bencher: Bencher<'_, '_>, mut decoder: impl Decoder + Sync, frame: &[u8]) {
    let input = batch_of(frame);
    let frames = decode_all(&mut decoder, &input);
    assert_eq!(frames * frame.len(), input.len());
    bencher
        .counter(ItemsCount::new(frames))
        .counter(BytesCount::new(input.len()))
        .bench_local(|| decode_all(&mut decoder, &input));
}

/// 64-byte frames of every framing.
mod decode {
    use super::*;

    #[divan::bench]
    fn lines(bencher: Bencher<'_, '_>) {
        bench_decoder(bencher, Lines::default(), &[[b'x'; 63].as_slice(), b"\n"].concat());
    }

    #[divan::bench]
    fn delimited(bencher: Bencher<'_, '_>) {
        let decoder = Delimited::new("--", 1024).expect("a delimiter");
        bench_decoder(bencher, decoder, &[[b'x'; 62].as_slice(), b"--"].concat());
    }

    #[divan::bench]
    fn fixed(bencher: Bencher<'_, '_>) {
        bench_decoder(bencher, Fixed::new(NonZeroU32::new(64).expect("not zero")), &[b'x'; 64]);
    }

    #[divan::bench]
    fn len32(bencher: Bencher<'_, '_>) {
        let frame = [60_u32.to_be_bytes().as_slice(), &[b'x'; 60]].concat();
        bench_decoder(bencher, LengthPrefixed::len32(1024), &frame);
    }
}

/// Echoes by handing the frame to `reply`, which copies it.
#[derive(Default)]
struct CopyingEcho;

impl Service for CopyingEcho {
    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        cx.reply(frame);
    }
}

/// Raw bytes through a session that is given `size` bytes per read; the output is thrown away.
fn bench_session(bencher: Bencher<'_, '_>, protocol: Box<dyn Protocol>, size: usize) {
    let mut pass = Pass::for_tests(Instant::now());
    let mut session = Session::new(protocol, pass.now());
    session.handle_open(&Address::Unknown, &mut pass);
    let input = vec![b'x'; size];
    bencher.counter(BytesCount::new(size)).counter(ItemsCount::new(1_usize)).bench_local(|| {
        session.handle_bytes(black_box(&input), &Address::Unknown, &mut pass);
        assert_eq!(pass.discard_output(), size);
    });
}

/// What a copy of every reply costs: the experiment `reply` against `reply_input`.
mod copy {
    use super::*;

    #[divan::bench(args = [64, 16 * 1024, 64 * 1024])]
    fn reply_input(bencher: Bencher<'_, '_>, size: usize) {
        bench_session(bencher, Box::new(Framed::new(Raw, Echo)), size);
    }

    #[divan::bench(args = [64, 16 * 1024, 64 * 1024])]
    fn reply(bencher: Bencher<'_, '_>, size: usize) {
        bench_session(bencher, Box::new(Framed::new(Raw, CopyingEcho)), size);
    }
}

/// Answers after a timer, as `greet --delay` does.
#[derive(Default)]
struct Later(bool);

impl Protocol for Later {
    fn ready(&self) -> bool {
        !self.0
    }

    fn on_bytes(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<Step, ProtocolError> {
        self.0 = true;
        cx.wake_after(Duration::ZERO);
        Ok(Step::consumed(input.len()))
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        self.0 = false;
        cx.write(&[b'x'; 64]);
    }
}

/// What a timer per message costs: setting it, firing it, giving its memory back.
#[divan::bench]
fn timer(bencher: Bencher<'_, '_>) {
    let mut pass = Pass::for_tests(Instant::now());
    let mut session = Session::new(Later::default(), pass.now());
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        session.handle_bytes(black_box(&[b'x'; 64]), &Address::Unknown, &mut pass);
        session.handle_timeout(&Address::Unknown, &mut pass);
        session.release();
        assert_eq!(pass.discard_output(), 64);
    });
}
