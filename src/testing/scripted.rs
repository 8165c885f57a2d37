//! A socket whose every answer is written down beforehand.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};

use crate::address::Address;
use crate::kernel::Stream;
use crate::session::Remote;

const ECONNRESET: i32 = 104;

#[derive(Debug)]
enum Input {
    Bytes(Vec<u8>),
    Eof,
    Fail(i32),
}

/// A [`Stream`] in memory: reads what was pushed, one chunk per read, and keeps what is written.
#[derive(Debug)]
pub struct ScriptedStream {
    input: VecDeque<Input>,
    output: Vec<u8>,
    room: usize,
    fail: Option<i32>,
    write_shut: Cell<bool>,
    reads: usize,
    writes: usize,
    peer: Address,
}

impl ScriptedStream {
    /// A socket with nothing to read and endless room to write.
    #[must_use]
    pub fn new(peer: Address) -> Self {
        let write_shut = Cell::new(false);
        Self {
            input: VecDeque::new(),
            output: Vec::new(),
            room: usize::MAX,
            fail: None,
            write_shut,
            reads: 0,
            writes: 0,
            peer,
        }
    }

    /// The next chunk to be read. A read returns at most one chunk, as TCP may.
    pub fn push_input(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.input.push_back(Input::Bytes(bytes.to_vec()));
        }
    }

    /// The end of the stream follows what was pushed so far.
    pub fn push_eof(&mut self) {
        self.input.push_back(Input::Eof);
    }

    /// A reset follows what was pushed so far.
    pub fn push_reset(&mut self) {
        self.input.push_back(Input::Fail(ECONNRESET));
    }

    /// The very next call fails with this errno.
    pub fn fail_next(&mut self, errno: i32) {
        self.fail = Some(errno);
    }

    /// How many more bytes writes accept before they would block; `usize::MAX` for no bound.
    pub fn set_room(&mut self, room: usize) {
        self.room = room;
    }

    /// What was written since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Whether the sending side was shut down.
    #[must_use]
    pub fn is_write_shut(&self) -> bool {
        self.write_shut.get()
    }

    /// How many reads and writes were asked for: what system calls there would have been.
    #[must_use]
    pub const fn calls(&self) -> (usize, usize) {
        (self.reads, self.writes)
    }

    /// Whether bytes are still to be read.
    pub(super) fn has_input(&self) -> bool {
        matches!(self.input.front(), Some(Input::Bytes(_)))
    }

    fn planned_failure(&mut self) -> io::Result<()> {
        self.fail.take().map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }
}

impl Read for ScriptedStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        self.planned_failure()?;
        match self.input.pop_front() {
            None => Err(io::ErrorKind::WouldBlock.into()),
            Some(Input::Bytes(mut bytes)) => {
                let count = bytes.len().min(into.len());
                into[..count].copy_from_slice(&bytes[..count]);
                if count < bytes.len() {
                    self.input.push_front(Input::Bytes(bytes.split_off(count)));
                }
                Ok(count)
            }
            Some(Input::Eof) => {
                self.input.push_front(Input::Eof);
                Ok(0)
            }
            Some(Input::Fail(errno)) => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Write for ScriptedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        self.planned_failure()?;
        assert!(!self.write_shut.get(), "written after the sending side was shut down");
        let count = bytes.len().min(self.room);
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.room != usize::MAX {
            self.room -= count;
        }
        self.output.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Remote for ScriptedStream {
    fn address(&self) -> Address {
        self.peer.clone()
    }
}

impl Stream for ScriptedStream {
    fn shutdown_write(&self) -> io::Result<()> {
        self.write_shut.set(true);
        Ok(())
    }
}
