//! One blocking connection, as other threads see it: what wakes it, and what it has counted.

use std::io::{self, IoSlice, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::Shutdown;

use crate::address::Address;
use crate::kernel::Stream;
use crate::os::stream::{Socket, send};
use crate::session::{Remote, Span, Tick, Traffic};

/// Shared between the thread that serves a connection and whoever stops it.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Peer {
    // What every request touches comes first, and fills one line of the processor's cache.
    socket: Socket,
    /// A Unix socket. Its other end sees at once that our reading side is shut down, and can send nothing more.
    pub(super) is_unix: bool,
    /// Our reading side is shut down to wake the thread: an end of the stream is not the peer's.
    shut: AtomicBool,
    stopping: AtomicBool,
    cut: AtomicBool,
    /// Since when only the idle limit concerns its thread, as [`idle_mark`]; 0 while something else does.
    idle_since: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    frames: AtomicU64,
    pub(super) id: u64,
    /// The thread that serves it, once it does.
    thread: OnceLock<Thread>,
}

/// A tick that can be told from none.
fn idle_mark(since: Option<Tick>) -> u64 {
    since.map_or(0, |since| 1 + u64::from(since.since(Tick::default())))
}

impl Peer {
    pub(super) fn new(id: u64, socket: Socket, is_unix: bool) -> Self {
        Self {
            id,
            socket,
            is_unix,
            thread: OnceLock::new(),
            shut: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            idle_since: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            frames: AtomicU64::new(0),
        }
    }

    pub(super) const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The calling thread is the one to be woken.
    pub(super) fn serve_here(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    /// Tells its thread that the server is draining. A thread that waits in read(2) is woken by shutting down our reading
    /// side: then reads give what has arrived, and do not wait any more. A peer that has ended its stream has no thread
    /// that waits, and its end must be seen. Nor has a Unix socket: see [`wait`](Self::wait).
    pub(super) fn stop(&self) {
        self.shut_read();
        self.stopping.store(true, Ordering::Release);
        self.unpark();
    }

    /// Wakes its thread if nothing has moved for `limit`, so that it looks at its deadlines. A read timeout would do the
    /// same for a timer of the kernel's per read: a tenth of what a request costs with a thousand connections.
    pub(super) fn wake_if_idle(&self, now: Tick, limit: Span) {
        let mark = self.idle_since.load(Ordering::Relaxed);
        let Ok(since) = u32::try_from(mark.wrapping_sub(1)) else { return };
        if Tick::at_millis(since).after(limit).is_due(now) {
            self.shut_read();
        }
    }

    fn shut_read(&self) {
        if !self.is_unix && !self.has_ended() {
            self.shut.store(true, Ordering::Release);
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Read);
        }
    }

    /// Ends it at once, whatever its thread waits for.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
        self.unpark();
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    #[cfg(target_os = "linux")]
    fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(count) if count > 0)
    }

    #[cfg(not(target_os = "linux"))]
    fn has_ended(&self) -> bool {
        false
    }

    /// Waits for input, at most so long. Not in read(2), where nothing but an end of our own making would wake a Unix
    /// socket's thread, but for the beginning of a drain as well.
    fn wait(&self, timeout: Option<Duration>, stop_event: Option<&PipeReader>) {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let input = PollFd::new(&self.socket, PollFlags::IN);
        // Interrupted, or woken for the drain: then there may be nothing to read, and the caller repeats it.
        let _ = match stop_event {
            None => poll(&mut [input], timeout.as_ref()),
            Some(event) => poll(&mut [input, PollFd::new(event, PollFlags::IN)], timeout.as_ref()),
        };
    }

    /// Whether a read gives something at once, be it the end.
    pub(super) fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        !matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    #[inline]
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether nobody has told its thread anything.
    #[inline(always)]
    pub(super) fn is_undisturbed(&self) -> bool {
        !self.is_cut() && !self.is_stopping() && !self.is_shut()
    }

    #[inline]
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    /// Shows others what has been counted. Only its own thread writes, so that plain stores do.
    #[inline]
    pub(super) fn publish(&self, traffic: &Traffic, idle_since: Option<Tick>) {
        self.idle_since.store(idle_mark(idle_since), Ordering::Relaxed);
        self.bytes_in.store(traffic.bytes_in, Ordering::Relaxed);
        self.bytes_out.store(traffic.bytes_out, Ordering::Relaxed);
        self.frames.store(traffic.frames, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, traffic: &mut Traffic) {
        traffic.bytes_in += self.bytes_in.load(Ordering::Relaxed);
        traffic.bytes_out += self.bytes_out.load(Ordering::Relaxed);
        traffic.frames += self.frames.load(Ordering::Relaxed);
    }

    /// Waits for input of a Unix socket and reads it.
    pub(super) fn recv_unix(
        &self,
        timeout: Option<Duration>,
        stop_event: Option<&PipeReader>,
        into: &mut [u8],
    ) -> io::Result<usize> {
        self.wait(timeout, stop_event);
        self.socket.recv_now(into)
    }

    /// read(2). On a Unix socket it does not wait.
    fn recv(&self, into: &mut [u8]) -> io::Result<usize> {
        let read = if self.is_unix { self.socket.recv_now(into) } else { self.socket.recv(into) };
        self.unless_shut(read)
    }

    /// An end of our own making is none.
    pub(super) fn unless_shut(&self, read: io::Result<usize>) -> io::Result<usize> {
        match read {
            Ok(0) if self.is_shut() => Err(io::ErrorKind::WouldBlock.into()),
            other => other,
        }
    }
}

/// The socket of a blocking connection. Its calls wait.
#[derive(Debug)]
pub(super) struct BlockingSocket<'a> {
    pub(super) peer: &'a Peer,
    /// The socket of `peer`, here because a write would wait for that line of memory otherwise.
    fd: BorrowedFd<'a>,
}

impl<'a> BlockingSocket<'a> {
    pub(super) fn new(peer: &'a Peer) -> Self {
        Self { peer, fd: peer.socket.as_fd() }
    }
}

impl Read for BlockingSocket<'_> {
    /// Only a drain reads like this: after it has begun nothing waits here.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.peer.recv(into)
    }
}

impl Write for BlockingSocket<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self.fd, bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.peer.socket.send_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Remote for BlockingSocket<'_> {
    fn address(&self) -> Address {
        self.peer.socket.address()
    }
}

impl Stream for BlockingSocket<'_> {
    fn shutdown_write(&self) -> io::Result<()> {
        self.peer.socket.shutdown_write()
    }
}
