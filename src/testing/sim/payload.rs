//! Bytes that carry their connection and their offset, so that a mix-up or a loss shows at once.

use super::plan::Service;
use super::rng::{Rng, mix};
use super::transcript::Turns;

/// Where a frame ends, in what the client sends and in what it is answered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    pub(super) sent: usize,
    pub(super) answered: usize,
}

/// What a client sends and what it must be answered.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) says: Vec<u8>,
    pub(super) hears: Vec<u8>,
    /// Ends of whole frames; empty where every byte stands for itself.
    pub(super) marks: Vec<Mark>,
    /// What the client waits for before it goes on.
    pub(super) turns: Turns,
}

/// Any byte.
const BINARY: u64 = u64::MAX;
/// Bytes from 0x60 to 0x6f only: text without line ends.
const TEXT: u64 = 0x0f0f_0f0f_0f0f_0f0f;
const TEXT_BASE: u64 = 0x6060_6060_6060_6060;

/// Appends `count` bytes of connection `id`'s stream, from `offset` on.
pub(super) fn binary(id: usize, offset: usize, count: usize, out: &mut Vec<u8>) {
    fill(id, offset, count, BINARY, 0, out);
}

fn text(id: usize, offset: usize, count: usize, out: &mut Vec<u8>) {
    fill(id, offset, count, TEXT, TEXT_BASE, out);
}

fn fill(id: usize, offset: usize, count: usize, mask: u64, base: u64, out: &mut Vec<u8>) {
    let end = out.len() + count;
    let salt = (id as u64 + 1) << 40;
    let mut block = offset / 8;
    let mut skip = offset % 8;
    while out.len() < end {
        let bytes = (mix(salt + block as u64) & mask | base).to_le_bytes();
        let take = (8 - skip).min(end - out.len());
        out.extend_from_slice(&bytes[skip..skip + take]);
        block += 1;
        skip = 0;
    }
}

impl Script {
    pub(super) fn clear(&mut self) {
        self.says.clear();
        self.hears.clear();
        self.marks.clear();
        self.turns.clear();
    }

    /// Writes a script of about `size` bytes for this service.
    pub(super) fn write(&mut self, id: usize, service: Service, size: usize, rng: &mut Rng) {
        match service {
            Service::EchoRaw => {
                binary(id, 0, size, &mut self.says);
                self.hears.extend_from_slice(&self.says);
            }
            Service::EchoLines => self.lines(id, size, b"", b"", rng),
            Service::GreetLines => self.lines(id, size, b"Hello, ", b"!", rng),
            Service::EchoLen32 => self.len32(id, size, rng),
            Service::GreetRaw => text(id, 0, size, &mut self.says),
            Service::Source => {
                text(id, 0, rng.below(64), &mut self.says);
                binary(id, 0, size, &mut self.hears);
            }
            Service::Custom => {}
        }
    }

    /// Writes the least there is to say: `size` bytes, in one frame.
    pub(super) fn write_least(&mut self, id: usize, service: Service, size: usize) {
        match service {
            Service::Custom => {}
            Service::Source => binary(id, 0, size, &mut self.hears),
            Service::EchoLines => {
                text(id, 0, size - 1, &mut self.says);
                self.says.push(b'\n');
                self.hears.extend_from_slice(&self.says);
                self.mark();
            }
            _ => {
                binary(id, 0, size, &mut self.says);
                self.hears.extend_from_slice(&self.says);
            }
        }
    }

    fn lines(&mut self, id: usize, size: usize, before: &[u8], behind: &[u8], rng: &mut Rng) {
        while self.says.len() < size {
            let (at, len) = (self.says.len(), rng.below(super::plan::MAX_FRAME));
            text(id, at, len, &mut self.says);
            self.hears.extend_from_slice(before);
            self.hears.extend_from_slice(&self.says[at..]);
            self.hears.extend_from_slice(behind);
            self.says.extend_from_slice(if rng.one_in(4) { b"\r\n" } else { b"\n" });
            self.hears.push(b'\n');
            self.mark();
        }
    }

    fn len32(&mut self, id: usize, size: usize, rng: &mut Rng) {
        while self.says.len() < size {
            let len = rng.below(super::plan::MAX_FRAME);
            let header = u32::try_from(len).expect("a frame is short").to_be_bytes();
            self.says.extend_from_slice(&header);
            binary(id, self.says.len(), len, &mut self.says);
            self.mark();
        }
        self.hears.extend_from_slice(&self.says);
        for mark in &mut self.marks {
            mark.answered = mark.sent;
        }
    }

    fn mark(&mut self) {
        self.marks.push(Mark { sent: self.says.len(), answered: self.hears.len() });
    }

    /// Adds the request to end, and more that nobody will read.
    pub(super) fn say_exit(&mut self, rng: &mut Rng) {
        self.says.extend_from_slice(b"exit\n");
        self.says.resize(self.says.len() + rng.below(100), b'\n');
    }

    /// Adds what is no frame; false where only the end of the stream shows it.
    pub(super) fn say_wrong(&mut self, service: Service, id: usize, rng: &mut Rng) -> bool {
        let at = self.says.len();
        match service {
            Service::EchoLen32 if rng.coin() => !self.cut_last_frame(rng),
            Service::EchoLen32 => {
                self.says.extend_from_slice(&[0xff, 0xff, 0xff, 0xff]);
                true
            }
            _ => {
                text(id, at, 2 * super::plan::MAX_FRAME, &mut self.says);
                true
            }
        }
    }

    /// Takes the last frame's end away, so that it stays unfinished; false where there is no whole frame.
    pub(super) fn cut_last_frame(&mut self, rng: &mut Rng) -> bool {
        let Some(last) = self.marks.last().copied() else { return false };
        let before = self.marks.iter().rev().nth(1).copied().unwrap_or_default();
        if last.sent - before.sent < 2 {
            return false;
        }
        self.marks.pop();
        self.says.truncate(before.sent + 1 + rng.below(last.sent - before.sent - 1));
        self.hears.truncate(before.answered);
        true
    }

    /// Takes the last line's end away; the end of the stream stands for it.
    pub(super) fn leave_last_line_open(&mut self) {
        let Some(last) = self.marks.pop() else { return };
        let start = self.marks.last().map_or(0, |mark| mark.sent);
        let line = &self.says[start..last.sent];
        let end = line.len() - 1 - usize::from(line.ends_with(b"\r\n"));
        if end == 0 {
            // Nothing is left of an empty line, and so nothing answers it.
            self.hears.truncate(self.marks.last().map_or(0, |mark| mark.answered));
        }
        self.says.truncate(start + end);
    }

    /// How much must have been answered once `sent` bytes were taken; what no mark covers stands for itself.
    pub(super) fn answered_by(&self, sent: usize) -> usize {
        let whole = self.marks.partition_point(|mark| mark.sent <= sent);
        whole.checked_sub(1).map_or(0, |last| self.marks[last].answered)
    }
}
