//! Bodies of answers that are produced piece by piece, as they are taken: numbered bytes, and files.
//!
//! A file is read where nobody has to wait for a disk: what is in the page cache is copied (preadv2(2), `RWF_NOWAIT`); for
//! what is not the kernel is asked (posix_fadvise(2), `POSIX_FADV_WILLNEED`), and it is looked for again a little later. Only when
//! that has not helped for long, or the file system knows no such read, is one piece waited for.

use std::fs::File;
use std::io::IoSliceMut;
use std::num::NonZeroU64;
use std::time::Duration;

use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

use crate::services::source::{BLOCK, PATTERN, PERIOD};
use crate::session::Context;

/// The most that is read of a file at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// How long to leave the disk alone before the next look, and after how many of them to wait for it.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOOKS: u8 = 100;

/// What is still to be sent of a body.
#[derive(Debug)]
pub(super) enum Content {
    /// Byte k is k modulo 251, as from `serve source`.
    Numbered {
        at: usize,
        left: u64,
    },
    File(FilePart),
}

/// What is still to be sent of a file.
#[derive(Debug)]
pub(super) struct FilePart {
    file: File,
    at: u64,
    left: u64,
    looks: u8,
}

/// What became of an attempt to produce more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Produced {
    /// That was all.
    All,
    /// There is more, once there is room.
    Some,
    /// There will be more after this time.
    Nothing(Duration),
    /// What was announced cannot be had: the file has become shorter, or its disk fails.
    Broken,
}

impl Content {
    pub(super) const fn numbered(count: u64) -> Self {
        Self::Numbered { at: 0, left: count }
    }

    pub(super) const fn file(file: File, at: u64, len: u64) -> Self {
        Self::File(FilePart { file, at, left: len, looks: 0 })
    }

    /// Writes as much as there is room for, one piece at most.
    pub(super) fn produce(&mut self, cx: &mut Context<'_>) -> Produced {
        match self {
            Self::Numbered { at, left } => {
                let room = cx.room().min(BLOCK - *at);
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(room);
                cx.write(&PATTERN[*at..*at + count]);
                *at = (*at + count) % PERIOD;
                *left -= count as u64;
                if *left == 0 { Produced::All } else { Produced::Some }
            }
            Self::File(part) => part.produce(cx),
        }
    }
}

impl FilePart {
    fn produce(&mut self, cx: &mut Context<'_>) -> Produced {
        let room = cx.room().min(PIECE);
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(room);
        if count == 0 {
            return if self.left == 0 { Produced::All } else { Produced::Some };
        }
        let mut outcome = Ok(0);
        cx.write_with(count, |into| {
            outcome = self.read(into);
            outcome.unwrap_or(0)
        });
        match outcome {
            Ok(0) => Produced::Broken,
            Ok(read) => {
                self.looks = 0;
                self.at += read as u64;
                self.left -= read as u64;
                if self.left == 0 { Produced::All } else { Produced::Some }
            }
            Err(Errno::AGAIN) => Produced::Nothing(LOOK_AGAIN),
            Err(error) => {
                log::debug!("a file that is being sent cannot be read error=\"{error}\"");
                Produced::Broken
            }
        }
    }

    /// EAGAIN when it would have to be waited for.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        if self.looks < LOOKS {
            match preadv2(&self.file, &mut [IoSliceMut::new(into)], self.at, ReadWriteFlags::NOWAIT) {
                Err(Errno::AGAIN) => {
                    self.looks += 1;
                    // Advice: whether it is taken shows with the next look.
                    let _ =
                        fadvise(&self.file, self.at, NonZeroU64::new(into.len() as u64), Advice::WillNeed);
                    return Err(Errno::AGAIN);
                }
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.looks = LOOKS,
                done => return done,
            }
        }
        loop {
            match pread(&self.file, &mut *into, self.at) {
                Err(Errno::INTR) => {}
                done => return done,
            }
        }
    }
}
