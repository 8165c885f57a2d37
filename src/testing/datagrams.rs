//! A datagram handler driven by hand: send datagrams, get the replies, let time pass.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use crate::connection::Progress;
use crate::kernel::{DatagramSocket, Readiness, RecvBatch};
use crate::port::Port;
use crate::session::{Clock, Datagram, DatagramHandler, DatagramTraffic, Datagrams, Guard, Limits, Pass};

/// A [`DatagramSocket`] in memory: receives what was pushed and keeps what is sent.
#[derive(Debug, Default)]
pub struct ScriptedDatagrams {
    input: VecDeque<(Vec<u8>, SocketAddr)>,
    output: Vec<(Vec<u8>, SocketAddr)>,
    /// Datagrams it takes before sending would block; `None` for any number.
    room: Option<usize>,
    recv_failures: VecDeque<i32>,
    send_failures: VecDeque<i32>,
}

impl ScriptedDatagrams {
    /// The next call to receive fails with this errno.
    pub fn fail_recv(&mut self, errno: i32) {
        self.recv_failures.push_back(errno);
    }

    /// The next call to send fails with this errno.
    pub fn fail_send(&mut self, errno: i32) {
        self.send_failures.push_back(errno);
    }
}

impl DatagramSocket for ScriptedDatagrams {
    fn recv_batch(&mut self, batch: &mut RecvBatch) -> io::Result<bool> {
        if let Some(errno) = self.recv_failures.pop_front() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        while !batch.is_full()
            && let Some((data, from)) = self.input.pop_front()
        {
            batch.slot()[..data.len()].copy_from_slice(&data);
            batch.push(data.len(), from);
        }
        Ok(self.input.is_empty())
    }

    fn send_batch<'a>(
        &mut self,
        mut batch: impl ExactSizeIterator<Item = Datagram<'a>>,
    ) -> io::Result<usize> {
        if let Some(errno) = self.send_failures.pop_front() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if self.room == Some(0) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let Some(datagram) = batch.next() else { return Ok(0) };
        self.room = self.room.map(|room| room - 1);
        let to = datagram.to.socket_addr().ok_or(io::ErrorKind::Unsupported)?;
        self.output.push((datagram.payload.to_vec(), to));
        Ok(1)
    }
}

/// A handler on a scripted socket with virtual time.
#[derive(Debug)]
pub struct DatagramPair {
    port: Port<ScriptedDatagrams>,
    guard: Guard,
    batch: RecvBatch,
    pass: Pass,
    clock: Clock,
    now: Instant,
    done: bool,
}

impl DatagramPair {
    /// A handler with default limits, which answers every source port.
    pub fn new(handler: impl DatagramHandler + 'static) -> Self {
        let guard = Guard { any_source_port: true, own_ports: Vec::new() };
        Self::with_limits(handler, guard, Limits::default())
    }

    /// A handler with this guard and these limits.
    pub fn with_limits(handler: impl DatagramHandler + 'static, guard: Guard, limits: Limits) -> Self {
        let now = Instant::now();
        let clock = Clock::new(now);
        let pass = Pass::new(limits, clock.at(now, SystemTime::UNIX_EPOCH));
        let port = Port::new(ScriptedDatagrams::default(), Datagrams::new(Box::new(handler)));
        Self { port, guard, batch: RecvBatch::new(), pass, clock, now, done: false }
    }

    /// Sends one datagram to the handler and returns what was sent since the last call.
    pub fn send(&mut self, data: &[u8], from: SocketAddr) -> Vec<(Vec<u8>, SocketAddr)> {
        self.port.socket_mut().input.push_back((data.to_vec(), from));
        self.run(Readiness::READABLE)
    }

    /// Lets the socket take `count` further datagrams before sending blocks; `None` for any number.
    pub fn set_room(&mut self, count: Option<usize>) -> Vec<(Vec<u8>, SocketAddr)> {
        self.port.socket_mut().room = count;
        self.run(Readiness::WRITABLE)
    }

    /// Lets time pass, firing every deadline on the way, and returns what was sent.
    pub fn advance(&mut self, by: Duration) -> Vec<(Vec<u8>, SocketAddr)> {
        let end = self.now + by;
        while let Some(at) = self.port.poll_timeout(&self.pass) {
            let next = self.now + self.pass.now().until(at);
            if next > end {
                break;
            }
            self.set_now(next);
            let progress = self.port.handle_timeout(&mut self.batch, &self.guard, &mut self.pass);
            self.settle(progress);
        }
        self.set_now(end);
        self.take_output()
    }

    /// The server drains; returns what was sent.
    pub fn stop(&mut self) -> Vec<(Vec<u8>, SocketAddr)> {
        let progress = self.port.handle_stop(&mut self.batch, &self.guard, &mut self.pass);
        self.settle(progress);
        self.take_output()
    }

    /// Whether a drain has come to its end.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// The socket, for letting calls fail.
    pub const fn socket_mut(&mut self) -> &mut ScriptedDatagrams {
        self.port.socket_mut()
    }

    /// What was counted.
    #[must_use]
    pub const fn counted(&self) -> &DatagramTraffic {
        self.pass.datagrams()
    }

    fn run(&mut self, ready: Readiness) -> Vec<(Vec<u8>, SocketAddr)> {
        self.port.note(ready);
        let progress = self.port.drive(&mut self.batch, &self.guard, &mut self.pass);
        self.settle(progress);
        self.take_output()
    }

    fn settle(&mut self, mut progress: Progress) {
        while progress == Progress::Yielded {
            progress = self.port.drive(&mut self.batch, &self.guard, &mut self.pass);
        }
        self.done |= progress == Progress::Closed;
    }

    fn take_output(&mut self) -> Vec<(Vec<u8>, SocketAddr)> {
        std::mem::take(&mut self.port.socket_mut().output)
    }

    fn set_now(&mut self, now: Instant) {
        self.now = now;
        self.pass.set_now(self.clock.at(now, SystemTime::UNIX_EPOCH));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Echo;
    use crate::session::EachDatagram;

    const EMSGSIZE: i32 = 90;
    const ECONNREFUSED: i32 = 111;
    const ENOBUFS: i32 = 105;

    fn echo(datagrams: usize) -> DatagramPair {
        let limits = Limits { datagrams, ..Limits::default() };
        DatagramPair::with_limits(EachDatagram::new(Echo), Guard::default(), limits)
    }

    fn client(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn what_the_socket_does_not_take_waits_within_a_bound_and_then_leaves_in_order() {
        let mut pair = echo(3);
        pair.set_room(Some(1));
        let mut replies = Vec::new();
        for number in 0..6_u8 {
            replies.extend(pair.send(&[number], client(5000)));
        }
        assert_eq!(replies, [(vec![0], client(5000))]);
        assert_eq!(pair.counted().overflow, 2);
        let replies = pair.set_room(None);
        assert_eq!(replies.iter().map(|(data, _)| data[0]).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((pair.counted().received, pair.counted().sent), (6, 4));
    }

    #[test]
    fn errors_concern_one_datagram_and_never_the_socket() {
        let mut pair = echo(1024);
        pair.socket_mut().fail_recv(ECONNREFUSED);
        assert_eq!(pair.send(b"a", client(5000)), [(b"a".to_vec(), client(5000))]);
        pair.socket_mut().fail_send(EMSGSIZE);
        assert_eq!(pair.send(b"b", client(5000)), []);
        assert_eq!(pair.send(b"c", client(5000)), [(b"c".to_vec(), client(5000))]);
        assert_eq!((pair.counted().recv_errors, pair.counted().send_errors), (1, 1));
    }

    #[test]
    fn exhausted_buffers_are_waited_out_without_an_event() {
        let mut pair = echo(1024);
        pair.socket_mut().fail_send(ENOBUFS);
        assert_eq!(pair.send(b"a", client(5000)), []);
        pair.socket_mut().fail_recv(ENOBUFS);
        assert_eq!(pair.advance(Duration::from_millis(10)), [(b"a".to_vec(), client(5000))]);
        assert_eq!(pair.send(b"b", client(5000)), []);
        assert_eq!(pair.advance(Duration::from_millis(10)), [(b"b".to_vec(), client(5000))]);
    }

    #[test]
    fn a_drain_answers_what_is_queued_without_an_event_and_takes_nothing_more() {
        let mut pair = echo(1024);
        pair.socket_mut().input.push_back((b"queued".to_vec(), client(5000)));
        assert_eq!(pair.stop(), [(b"queued".to_vec(), client(5000))]);
        assert!(pair.is_done());
        assert_eq!(pair.send(b"late", client(5000)), []);
    }

    #[test]
    fn the_guard_refuses_and_counts() {
        let mut pair = echo(1024);
        assert_eq!(pair.send(b"forged", client(53)), []);
        assert_eq!((pair.counted().received, pair.counted().guarded), (1, 1));
    }
}
