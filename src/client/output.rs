//! What is still to be sent on a connection, and our side's end behind it.

use std::io::Write;
use std::net::Shutdown;

use rustix::io::Errno;
use socket2::Socket;

use super::error::ClientErrorKind;
use crate::attempt::{Attempt, attempt};

/// Bytes on their way to the peer.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The first `sent` bytes have been written.
    bytes: Vec<u8>,
    sent: usize,
    finish: Finish,
    /// Why nothing can be written any more.
    failure: Option<ClientErrorKind>,
}

/// How far our side's end is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Finish {
    #[default]
    Open,
    /// As soon as everything is written.
    Asked,
    Done,
}

impl Output {
    /// Where to append what is to be sent.
    pub(super) fn queue(&mut self) -> &mut Vec<u8> {
        if self.unsent() == 0 {
            self.bytes.clear();
            self.sent = 0;
        }
        &mut self.bytes
    }

    pub(super) const fn unsent(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether writing makes sense.
    pub(super) const fn wants_write(&self) -> bool {
        self.unsent() > 0 && self.failure.is_none()
    }

    /// Ends our side behind everything queued.
    pub(super) fn finish(&mut self) {
        if self.finish == Finish::Open {
            self.finish = Finish::Asked;
        }
    }

    /// Why nothing could be written any more, if so.
    pub(super) const fn take_failure(&mut self) -> Option<ClientErrorKind> {
        self.failure.take()
    }

    /// One write, and whether it moved anything. A failure is kept, so that what the peer said before is still read:
    /// a server that answers and closes without having read everything resets the connection.
    pub(super) fn flush_once(&mut self, socket: &Socket) -> bool {
        if !self.wants_write() {
            self.shut_down_if_asked(socket);
            return false;
        }
        let rest = &self.bytes[self.sent..];
        match attempt(|| (&mut &*socket).write(rest)) {
            Attempt::Done(count) => {
                self.sent += count;
                // At once: nobody may call again, and the peer waits for our end.
                self.shut_down_if_asked(socket);
                count > 0
            }
            Attempt::WouldBlock => false,
            Attempt::Failed(failure) => {
                self.failure = Some(if failure.errno == Errno::PIPE.raw_os_error() {
                    ClientErrorKind::Closed { unsent: self.unsent() }
                } else {
                    ClientErrorKind::of_errno(failure.errno)
                });
                false
            }
        }
    }

    fn shut_down_if_asked(&mut self, socket: &Socket) {
        if self.finish == Finish::Asked && self.unsent() == 0 {
            // It fails when the connection is gone, which reading shows as well.
            let _ = socket.shutdown(Shutdown::Write);
            self.finish = Finish::Done;
        }
    }
}
