//! A conversation over UDP: a message is a datagram, and so is its reply.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use log::info;

use super::conversation::{Drained, Exchange, Line, Output};
use super::stop::Stop;
use crate::client::{ClientErrorKind, DatagramClient};

/// A socket and how long it is waited for.
pub(super) struct Datagrams {
    client: DatagramClient,
    retries: u32,
    no_reply: bool,
    timeout: Duration,
}

impl Datagrams {
    pub(super) const fn new(client: DatagramClient, options: &super::Options) -> Self {
        Self { client, retries: options.retries, no_reply: options.no_reply, timeout: options.timeout }
    }

    /// Prints the next datagram; `false` when none came in time.
    fn receive(&mut self, limit: Duration, out: &mut Output) -> Result<bool, Stop> {
        match self.client.receive(limit) {
            Ok(payload) => out.whole(payload).map(|()| true),
            Err(error) if matches!(error.kind(), ClientErrorKind::NoReply { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Exchange for Datagrams {
    /// There is no connection on which a server could speak first.
    fn greet(&mut self, _out: &mut Output) -> Result<Line, Stop> {
        Ok(Line::Open)
    }

    fn drain_once(&mut self, out: &mut Output) -> Result<Drained, Stop> {
        let printed = self.receive(Duration::ZERO, out)?;
        Ok(if printed { Drained::Printed } else { Drained::Nothing })
    }

    fn ask(&mut self, message: &[u8], _is_last: bool, out: &mut Output) -> Result<Line, Stop> {
        self.client.send(message)?;
        if self.no_reply {
            return Ok(Line::Open);
        }
        let mut sent = 1;
        while !self.receive(self.timeout, out)? {
            let (name, timeout) = (self.name(), self.timeout);
            if sent > self.retries {
                return Err(Stop::failed(format!(
                    "no reply from {name} within {timeout:?}, times sent: {sent} (a datagram may be lost: --retries \
                     sends it again, --timeout waits longer)"
                )));
            }
            info!("no reply, sending again address={name} retry={sent} of={}", self.retries);
            self.client.resend()?;
            sent += 1;
        }
        Ok(Line::Open)
    }

    /// There is no end that the other side could notice.
    fn end(&mut self, _out: &mut Output) -> Result<(), Stop> {
        Ok(())
    }

    fn name(&self) -> String {
        self.client.name()
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}
