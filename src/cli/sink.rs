//! Messages on standard output, one line each, from a thread of its own: whoever reads them may stop reading, and a
//! pipe that is full must not stall the loop.
//!
//! What waits to be written is bounded; what does not fit is dropped, counted, and said in the log. (Log lines are
//! dropped without a thread. Here a reader may be slow for a while without losing anything.)

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::{info, warn};
use rustix::event::{PollFd, PollFlags, poll};

use super::text::write_text;
use crate::address::Address;
use crate::attempt::{Attempt, attempt};
use crate::codec::TextEncoding;
use crate::services::Sink;

/// What may wait to be written. As much again may be in the writer's hand.
const MAX_BYTES: usize = 1024 * 1024;
const MAX_LINES: usize = 16 * 1024;

/// What one byte of a message may become.
const ESCAPED: usize = 4;

/// How long the end of the program waits for a reader.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How often drops are said at most.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// Lines on their way to standard output. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Printer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There is something to write, the end has come, or the writer is done.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    text: Vec<u8>,
    /// Lines in `text`.
    lines: usize,
    /// Lines that the writer has taken and not finished writing.
    in_hand: usize,
    drops: Drops,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The writer is to end once everything is written.
    Ending,
    /// The writer has ended: nothing will be printed any more.
    Ended,
}

/// Lines that found no room.
#[derive(Debug, Default)]
struct Drops {
    total: u64,
    /// How many of them were said, and when last.
    said: u64,
    said_at: Option<Instant>,
}

impl Printer {
    /// Where a service leaves its messages.
    pub(super) fn sink(&self) -> Sink {
        let printer = self.clone();
        Sink::new(move |peer, message| printer.print(peer, message, write_bytes))
    }

    /// Where a service leaves messages that are text. In a `stream` a character may begin in one of them and end in the next.
    pub(super) fn text_sink(&self, encoding: TextEncoding, stream: bool) -> Sink {
        let printer = self.clone();
        Sink::for_each(move || {
            let (printer, mut decoder) = (printer.clone(), encoding.decoder());
            move |peer: &Address, message: &[u8]| {
                let mut text = String::new();
                decoder.push(message, &mut text);
                if !stream {
                    decoder.finish(&mut text);
                }
                // A part of a character is not worth a line.
                if message.is_empty() || !text.is_empty() {
                    printer.print(peer, text.as_bytes(), |line, text| {
                        write_text(line, &String::from_utf8_lossy(text));
                    });
                }
            }
        })
    }

    /// Begins to write to standard output.
    ///
    /// # Errors
    /// No descriptor or no thread is to be had.
    pub(super) fn start(&self) -> io::Result<()> {
        // A descriptor of its own: the standard library's lock would be held for as long as nobody reads.
        let to = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        self.start_on(to)
    }

    fn start_on(&self, to: impl Write + AsFd + Send + 'static) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        thread::Builder::new().name("stdout".to_owned()).spawn(move || shared.write_on(to)).map(drop)
    }

    /// Waits a second at most until everything is written, and says what was lost.
    pub(super) fn finish(&self) {
        let mut queue = self.0.lock();
        if queue.state == State::Open {
            queue.state = State::Ending;
        }
        self.0.changed.notify_all();
        let until = Instant::now() + LAST_WAIT;
        while queue.state != State::Ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                warn!(
                    "standard output is not read unprinted_lines={} bytes_at_least={}",
                    queue.lines + queue.in_hand,
                    queue.text.len()
                );
                break;
            }
            queue = self.0.wait(queue, left);
        }
        queue.drops.say(None);
    }

    fn print(&self, peer: &Address, message: &[u8], write: impl Fn(&mut Vec<u8>, &[u8])) {
        let mut queue = self.0.lock();
        if queue.state == State::Ended {
            return;
        }
        if queue.has_room(message.len()) {
            queue.push(peer, message, write);
            drop(queue);
            self.0.changed.notify_one();
        } else {
            queue.drops.total += 1;
            queue.drops.say(Some(Instant::now()));
        }
    }
}

impl Queue {
    /// One message always has room when nothing waits, however long its line becomes.
    const fn has_room(&self, message: usize) -> bool {
        let longest = message.saturating_mul(ESCAPED);
        self.text.is_empty()
            || (self.lines < MAX_LINES && longest < MAX_BYTES && self.text.len() + longest < MAX_BYTES)
    }

    fn push(&mut self, peer: &Address, message: &[u8], write: impl Fn(&mut Vec<u8>, &[u8])) {
        write_line(&mut self.text, peer, message, write);
        self.lines += 1;
    }
}

impl Drops {
    /// Says what was not said yet; at most once a second, while the program goes on and `now` is a time.
    fn say(&mut self, now: Option<Instant>) {
        let early = now.zip(self.said_at).is_some_and(|(now, last)| now.duration_since(last) < SAY_EVERY);
        if self.total > self.said && !early {
            let new = self.total - self.said;
            warn!(
                "messages not printed: standard output is not read dropped={new} dropped_total={}",
                self.total
            );
            self.said = self.total;
            self.said_at = now;
        }
    }
}

impl Shared {
    /// The queue is whole between any two statements, so that a panic elsewhere does no harm to it.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'q>(&self, queue: MutexGuard<'q, Queue>, at_most: Duration) -> MutexGuard<'q, Queue> {
        self.changed.wait_timeout(queue, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// The writer's life.
    fn write_on(&self, mut to: impl Write + AsFd) {
        let mut batch = Vec::new();
        while self.take(&mut batch) {
            if let Err(error) = write_all(&mut to, &batch) {
                if error.kind() == io::ErrorKind::BrokenPipe {
                    info!("standard output is closed: printing ends");
                } else {
                    warn!("cannot write to standard output: printing ends error=\"{error}\"");
                }
                break;
            }
        }
        let mut queue = self.lock();
        queue.state = State::Ended;
        queue.text = Vec::new();
        self.changed.notify_all();
    }

    /// Waits for something to write; `false` when there will be nothing more.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        batch.clear();
        if batch.capacity() > 2 * MAX_BYTES {
            *batch = Vec::new();
        }
        let mut queue = self.lock();
        queue.in_hand = 0;
        while queue.text.is_empty() {
            if queue.state != State::Open {
                return false;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut queue.text, batch);
        queue.in_hand = std::mem::take(&mut queue.lines);
        true
    }
}

/// Writes all of it, also to a descriptor that somebody else has made non-blocking.
fn write_all(to: &mut (impl Write + AsFd), mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match attempt(|| to.write(rest)) {
            Attempt::Done(0) => return Err(io::ErrorKind::WriteZero.into()),
            Attempt::Done(count) => rest = &rest[count..],
            Attempt::WouldBlock => {
                // An error here is one that writing will show as well, or a signal.
                let _ = poll(&mut [PollFd::new(to, PollFlags::OUT)], None);
            }
            Attempt::Failed(failure) => return Err(io::Error::from_raw_os_error(failure.errno)),
        }
    }
    Ok(())
}

/// `ADDR TEXT` and LF.
fn write_line(line: &mut Vec<u8>, peer: &Address, message: &[u8], write: impl Fn(&mut Vec<u8>, &[u8])) {
    let mut address = String::new();
    // Writing to a string does not fail.
    let _ = write!(address, "{}", peer.bare());
    line.extend_from_slice(address.as_bytes());
    line.push(b' ');
    write(line, message);
    line.push(b'\n');
}

/// What no terminal should be sent, and the backslash, as `\xNN`.
fn write_bytes(line: &mut Vec<u8>, message: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for &byte in message {
        match byte {
            b'\\' | 0..=0x1f | 0x7f.. => line.extend_from_slice(&[
                b'\\',
                b'x',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]),
            _ => line.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const PEER: &str = "tcp://127.0.0.1:7";

    fn peer() -> Address {
        PEER.parse().unwrap()
    }

    #[test]
    fn a_line_is_the_address_and_the_message_without_anything_a_terminal_obeys() {
        for (message, line) in [
            (&b"plain text"[..], "127.0.0.1:7 plain text\n"),
            (b"", "127.0.0.1:7 \n"),
            (b"a\n", "127.0.0.1:7 a\\x0a\n"),
            (b"\x00\x1b[2J\x1f ~\x7f\x80\xff", "127.0.0.1:7 \\x00\\x1b[2J\\x1f ~\\x7f\\x80\\xff\n"),
            (b"C:\\x41", "127.0.0.1:7 C:\\x5cx41\n"),
            ("é".as_bytes(), "127.0.0.1:7 \\xc3\\xa9\n"),
        ] {
            let mut out = Vec::new();
            write_line(&mut out, &peer(), message, write_bytes);
            assert_eq!(String::from_utf8(out).unwrap(), line);
        }
        let mut out = Vec::new();
        write_line(&mut out, &"udp://[::1]:7".parse().unwrap(), b"x", write_bytes);
        assert_eq!(out, b"[::1]:7 x\n");
    }

    #[test]
    fn everything_is_written_in_order_before_the_end() {
        let (mut reader, writer) = io::pipe().unwrap();
        let printer = Printer::default();
        printer.print(&peer(), b"before the start", write_bytes);
        printer.start_on(writer).unwrap();
        for number in 0..1000 {
            printer.print(&peer(), number.to_string().as_bytes(), write_bytes);
        }
        printer.finish();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let expected: String = (0..1000).map(|number| format!("127.0.0.1:7 {number}\n")).collect();
        assert_eq!(text, format!("127.0.0.1:7 before the start\n{expected}"));
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_dropped_is_counted() {
        let (reader, writer) = io::pipe().unwrap();
        let printer = Printer::default();
        printer.start_on(writer).unwrap();
        for _ in 0..10_000 {
            printer.print(&peer(), &[b'x'; 1000], write_bytes);
        }
        let queue = printer.0.lock();
        assert!(queue.text.len() <= MAX_BYTES + 1024, "{} bytes", queue.text.len());
        // Waiting, in the writer's hand, and in the pipe, which holds 64 KiB (pipe(7)).
        assert!(queue.drops.total > 7_500, "{}", queue.drops.total);
        assert!(queue.drops.said < queue.drops.total, "each drop was said");
        drop(queue);
        let begun = Instant::now();
        printer.finish();
        assert!(begun.elapsed() >= LAST_WAIT && begun.elapsed() < 10 * LAST_WAIT);
        drop(reader);
    }

    #[test]
    fn many_short_lines_are_bounded_too() {
        let printer = Printer::default();
        for _ in 0..MAX_LINES + 5 {
            printer.print(&peer(), b"", write_bytes);
        }
        let queue = printer.0.lock();
        assert_eq!((queue.lines, queue.drops.total), (MAX_LINES, 5));
    }

    #[test]
    fn a_line_longer_than_the_bound_is_printed_when_nothing_waits() {
        let printer = Printer::default();
        printer.print(&peer(), &[0; MAX_BYTES], write_bytes);
        printer.print(&peer(), b"", write_bytes);
        let queue = printer.0.lock();
        assert_eq!((queue.lines, queue.drops.total), (1, 1));
    }

    #[test]
    fn a_pipe_without_a_reader_ends_printing() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let printer = Printer::default();
        printer.start_on(writer).unwrap();
        printer.print(&peer(), b"x", write_bytes);
        let mut queue = printer.0.lock();
        while queue.state != State::Ended {
            queue = printer.0.wait(queue, LAST_WAIT);
        }
        drop(queue);
        printer.print(&peer(), b"y", write_bytes);
        assert_eq!(printer.0.lock().text, b"");
        printer.finish();
    }
}
