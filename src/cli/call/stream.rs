//! A conversation over TCP or a Unix stream socket.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use log::debug;

use super::conversation::{Drained, Exchange, Line, Output, QUIET};
use super::stop::Stop;
use crate::client::{Client, ClientError, ClientErrorKind};

/// A connection and how long it is waited for.
pub(super) struct Stream {
    client: Client,
    /// A reply has no end of its own.
    raw: bool,
    no_reply: bool,
    greeting: Duration,
    timeout: Duration,
}

/// What came of waiting for a piece.
enum Piece {
    Printed,
    Late,
    End,
}

impl Stream {
    pub(super) fn new(client: Client, options: &super::Options) -> Self {
        debug!("connected address={}", client.address());
        Self {
            client,
            raw: options.is_raw(),
            no_reply: options.no_reply,
            greeting: options.greeting,
            timeout: options.timeout,
        }
    }

    /// Waits for a frame, or with raw framing for bytes, and prints them.
    fn piece(&mut self, limit: Duration, out: &mut Output) -> Result<Piece, Stop> {
        match self.client.receive(limit) {
            Ok(Some(payload)) => print(self.raw, payload, out).map(|()| Piece::Printed),
            Ok(None) => Ok(Piece::End),
            Err(error) if is_late(&error) => Ok(Piece::Late),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what is queued and prints what comes meanwhile, and whether anything did.
    fn flush(&mut self, out: &mut Output) -> Result<bool, Stop> {
        let (raw, mut answered) = (self.raw, false);
        self.client.flush(self.timeout, |payload| {
            answered = true;
            print(raw, payload, out)
        })?;
        Ok(answered)
    }

    /// The rest of a reply that ends when nothing follows. It fails when something still arrives at `deadline`; the
    /// silence after a reply that was in time may last beyond it.
    fn until_quiet(&mut self, deadline: Instant, out: &mut Output) -> Result<Line, Stop> {
        loop {
            match self.piece(QUIET, out)? {
                Piece::Printed if Instant::now() < deadline => {}
                Piece::Printed => return Err(Stop::endless_reply(&self.name(), self.timeout)),
                Piece::Late => return Ok(Line::Open),
                Piece::End => return Ok(Line::Closed),
            }
        }
    }
}

impl Exchange for Stream {
    fn greet(&mut self, out: &mut Output) -> Result<Line, Stop> {
        let until = Instant::now() + self.greeting;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.piece(left, out)? {
                Piece::Printed => {}
                Piece::Late => break,
                Piece::End => return Ok(Line::Closed),
            }
        }
        out.end()?;
        Ok(Line::Open)
    }

    fn drain_once(&mut self, out: &mut Output) -> Result<Drained, Stop> {
        Ok(match self.piece(Duration::ZERO, out)? {
            Piece::Printed => Drained::Printed,
            Piece::Late => Drained::Nothing,
            Piece::End => Drained::Closed,
        })
    }

    fn ask(&mut self, message: &[u8], is_last: bool, out: &mut Output) -> Result<Line, Stop> {
        self.client.queue(message)?;
        let mut answered = self.flush(out)?;
        if self.no_reply {
            return Ok(Line::Open);
        }
        let deadline = Instant::now() + self.timeout;
        if !answered {
            match self.piece(self.timeout, out)? {
                Piece::Printed => answered = true,
                Piece::Late => return Err(Stop::no_reply(&self.name(), self.timeout)),
                Piece::End => return Ok(Line::Closed),
            }
        }
        let line = if self.raw && answered { self.until_quiet(deadline, out)? } else { Line::Open };
        if !is_last {
            out.end()?;
        }
        Ok(line)
    }

    fn end(&mut self, out: &mut Output) -> Result<(), Stop> {
        self.client.finish();
        loop {
            match self.piece(self.timeout, out)? {
                Piece::Printed => {}
                Piece::End => return Ok(()),
                Piece::Late => {
                    return Err(Stop::failed(format!(
                        "{} has not closed the connection: nothing has arrived for {:?} after the last message \
                         (--timeout waits longer)",
                        self.name(),
                        self.timeout
                    )));
                }
            }
        }
    }

    fn name(&self) -> String {
        self.client.name().to_owned()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}

fn print(raw: bool, payload: &[u8], out: &mut Output) -> Result<(), Stop> {
    if raw { out.part(payload) } else { out.whole(payload) }
}

const fn is_late(error: &ClientError) -> bool {
    matches!(error.kind(), ClientErrorKind::NoReply { .. })
}
