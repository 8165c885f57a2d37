//! One blocking connection, as other threads see it: what wakes it, and what it has counted.

use std::io::{self, IoSlice, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::Shutdown;

use crate::address::Address;
use crate::kernel::Stream;
use crate::os::stream::Socket;
use crate::session::{Remote, Span, Tick, Traffic};

/// Shared between the thread that serves a connection and whoever stops it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: u64,
    socket: Socket,
    /// The thread that serves it, once it does.
    thread: OnceLock<Thread>,
    /// Our reading side is shut down to wake the thread: an end of the stream is not the peer's.
    shut: AtomicBool,
    stopping: AtomicBool,
    cut: AtomicBool,
    /// Since when only the idle limit concerns its thread, as [`idle_mark`]; 0 while something else does.
    idle_since: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    frames: AtomicU64,
}

/// A tick that can be told from none.
fn idle_mark(since: Option<Tick>) -> u64 {
    since.map_or(0, |since| 1 + u64::from(since.since(Tick::default())))
}

impl Peer {
    pub(super) fn new(id: u64, socket: Socket) -> Self {
        Self {
            id,
            socket,
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
    /// that waits, and its end must be seen.
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
        if !self.has_ended() {
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

    /// Whether a read gives something at once, be it the end.
    pub(super) fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        !matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    #[inline]
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
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

    /// read(2), in which an end of our own making is none.
    #[inline]
    pub(super) fn recv(&self, into: &mut [u8]) -> io::Result<usize> {
        match self.socket.recv(into) {
            Ok(0) if self.is_shut() => Err(io::ErrorKind::WouldBlock.into()),
            other => other,
        }
    }
}

/// The socket of a blocking connection. Its calls wait.
#[derive(Debug)]
pub(super) struct BlockingSocket(pub(super) Arc<Peer>);

impl Read for BlockingSocket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.recv(into)
    }
}

impl Write for BlockingSocket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.socket.send(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.socket.send_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Remote for BlockingSocket {
    fn address(&self) -> Address {
        self.0.socket.address()
    }
}

impl Stream for BlockingSocket {
    fn shutdown_write(&self) -> io::Result<()> {
        self.0.socket.shutdown_write()
    }
}
