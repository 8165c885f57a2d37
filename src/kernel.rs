//! The seam to the kernel: everything a reactor asks of the operating system, in our own types.
//!
//! It has two implementations: [`reactor::MioKernel`](crate::reactor::MioKernel), which is plain mio, and
//! [`testing::sim`](crate::testing::sim), a kernel in memory with faults and virtual time. The reactor is
//! generic over it and monomorphised, so that production pays nothing for being testable.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant, SystemTime};

use crate::address::{Address, Endpoint};
pub use crate::batch::{BATCH, RecvBatch};
pub use crate::job::{ChildProcess, GroupSignal, OutputStream};
use crate::session::{ChildSpec, Datagram, Remote};

/// What a connection needs of a socket. Reads and writes may be short; `WouldBlock` means "an event will tell".
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::os::unix::net::UnixStream;
/// use oneloop::Address;
/// use oneloop::codec::Raw;
/// use oneloop::connection::{Connection, Progress};
/// use oneloop::kernel::{Readiness, Stream};
/// use oneloop::services::Echo;
/// use oneloop::session::{Framed, Pass, Remote};
///
/// /// One end of a socket pair, driven by hand.
/// struct End(UnixStream);
///
/// impl Read for End {
///     fn read(&mut self, into: &mut [u8]) -> io::Result<usize> { self.0.read(into) }
/// }
/// impl Write for End {
///     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.0.write(bytes) }
///     fn flush(&mut self) -> io::Result<()> { Ok(()) }
/// }
/// impl Remote for End {
///     fn address(&self) -> Address { Address::Unknown }
/// }
/// impl Stream for End {
///     fn shutdown_write(&self) -> io::Result<()> { self.0.shutdown(std::net::Shutdown::Write) }
/// }
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// let mut pass = Pass::for_tests(std::time::Instant::now());
/// let mut connection = Connection::new(End(ours), Framed::new(Raw, Echo), &pass);
/// connection.open(&mut pass);
///
/// theirs.write_all(b"hello")?;
/// connection.note(Readiness::READABLE);
/// assert_eq!(connection.drive(&mut [0; 1024], &mut pass), Progress::Idle);
///
/// let mut answer = [0; 5];
/// theirs.read_exact(&mut answer)?;
/// assert_eq!(&answer, b"hello");
/// # Ok::<(), io::Error>(())
/// ```
pub trait Stream: Read + Write + Remote {
    /// A bug planted on purpose, to prove that the simulation finds it. Production has none, and the checks
    /// for it fold away.
    const PLANTED: Planted = Planted::Nothing;

    /// Ends our sending side (shutdown(2), `SHUT_WR`).
    ///
    /// # Errors
    /// Whatever the system says; `NotConnected` after a reset is of no consequence.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// What a [`Port`](crate::port::Port) needs of a datagram socket: several datagrams per call where the system can
/// (recvmmsg(2), sendmmsg(2)). `WouldBlock` means "an event will tell".
///
/// ```
/// use std::io;
/// use std::net::UdpSocket;
/// use oneloop::kernel::{DatagramSocket, RecvBatch};
/// use oneloop::session::Datagram;
///
/// /// A socket of std's, one datagram per call.
/// #[derive(Debug)]
/// struct Plain(UdpSocket);
///
/// impl DatagramSocket for Plain {
///     fn recv_batch(&mut self, batch: &mut RecvBatch) -> io::Result<bool> {
///         let (len, from) = self.0.recv_from(batch.slot())?;
///         batch.push(len, from);
///         Ok(false)
///     }
///     fn send_batch<'a>(&mut self, mut batch: impl ExactSizeIterator<Item = Datagram<'a>>) -> io::Result<usize> {
///         let Some(Datagram { payload, to }) = batch.next() else { return Ok(0) };
///         let to = to.socket_addr().ok_or(io::ErrorKind::Unsupported)?;
///         self.0.send_to(payload, to).map(|_| 1)
///     }
/// }
///
/// let (here, there) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// let to = here.local_addr()?;
/// there.send_to(b"hello", to)?;
/// let mut batch = RecvBatch::new();
/// Plain(here).recv_batch(&mut batch)?;
/// assert_eq!(batch.iter().next(), Some((&b"hello"[..], &there.local_addr()?.into())));
/// # Ok::<(), io::Error>(())
/// ```
pub trait DatagramSocket: fmt::Debug {
    /// A bug planted on purpose, as for [`Stream::PLANTED`].
    const PLANTED: Planted = Planted::Nothing;

    /// Adds at least one datagram to `batch`, at most as many as it has room for, and says whether the socket's queue
    /// was empty after the last one.
    ///
    /// # Errors
    /// recvmmsg(2); nothing was added then. An error is about an earlier reply (an ICMP message), not about the socket.
    fn recv_batch(&mut self, batch: &mut RecvBatch) -> io::Result<bool>;

    /// Sends datagrams from the front of `batch`, which is never empty, and says how many: at least one.
    ///
    /// # Errors
    /// sendmmsg(2), about the first one; none was sent then.
    fn send_batch<'a>(&mut self, batch: impl ExactSizeIterator<Item = Datagram<'a>>) -> io::Result<usize>;

    /// The one peer of a client's socket: the only one it receives from.
    fn peer(&self) -> Option<Endpoint> {
        None
    }

    /// Datagrams the kernel has dropped because its receive buffer was full, where it says so.
    fn kernel_drops(&self) -> Option<u64> {
        None
    }
}

/// What is known about a socket: set by events, cleared by `WouldBlock`, or by a short read when no close was
/// signalled (epoll(7): then the receive queue is empty).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing is known to be possible.
    pub const NONE: Self = Self(0);
    /// Reading may give bytes, the end of the stream or an error.
    pub const READABLE: Self = Self(1);
    /// Writing may be accepted.
    pub const WRITABLE: Self = Self(2);
    /// The peer has ended its side, or the connection is broken: read on until the end, no further event comes.
    pub const READ_CLOSED: Self = Self(4);

    /// A set of [`READABLE`](Self::READABLE) and [`WRITABLE`](Self::WRITABLE).
    #[inline]
    #[must_use]
    pub const fn new(readable: bool, writable: bool) -> Self {
        Self(readable as u8 | (writable as u8) << 1)
    }

    /// Both sets together.
    #[inline]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `other` is in this set.
    #[inline]
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// This set without the other.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Bugs of the kind event loops have. A simulated kernel names one in [`Stream::PLANTED`] and
/// [`DatagramSocket::PLANTED`]; the driver then has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Planted {
    /// No bug: the driver as it is.
    Nothing,
    /// A connection whose budget is spent is not queued again.
    RequeueLost,
    /// A short read counts as drained although a close was signalled: the end of the stream is never seen.
    ReadClosedIgnored,
    /// Every read counts as drained, a full one too.
    AnyReadDrains,
    /// A short write counts as "would block", without a refusal that would bring an event.
    ShortWriteBlocks,
    /// What the kernel refuses of a reply is dropped.
    UnsentForgotten,
    /// A listener that ran out of descriptors arms no retry.
    AcceptRetryForgotten,
    /// A listener whose batch is done is not queued again.
    AcceptBatchForgotten,
    /// An event is given to whatever lives under the key now.
    GenerationIgnored,
    /// A deadline that fired too early is not armed again.
    DeadlineForgotten,
    /// Freed descriptors do not wake listeners that wait at the connection limit.
    PausedForgotten,
    /// A connection that keeps something is read although memory is short.
    MemoryPauseForgotten,
    /// Connections that were not read because memory was short are not read when it is not any more.
    MemoryResumeForgotten,
    /// Nobody is ended when more memory is kept than may be.
    MemoryLimitIgnored,
    /// What a connection kept counts as kept after its end.
    MemoryEndForgotten,
    /// Listeners that rest because memory is short go on resting.
    MemoryRestForgotten,
    /// A connection that has ended goes on counting as one of its address.
    AddressEndForgotten,
    /// A drain accepts who is queued on a socket that another process goes on serving.
    SharedQueueTaken,
    /// A datagram socket whose budget is spent is not queued again.
    PortRequeueLost,
    /// A datagram socket's budget is never spent.
    DatagramBudgetIgnored,
    /// Any batch of datagrams counts as the last that was there.
    DatagramBatchDrains,
    /// Replies that a datagram socket has no room for are dropped, and not counted.
    UnsentDatagramsForgotten,
    /// A datagram socket without buffers waits for an event, which does not come.
    DatagramRetryForgotten,
    /// Nothing wakes the loop for replies that are held back.
    HeldReplyForgotten,
    /// A drain does not look at what is queued for a datagram socket.
    DatagramDrainHasty,
    /// What the kernel dropped is forgotten when its socket is closed.
    KernelDropsForgotten,
    /// A child that was not read while its reader was congested is not read afterwards.
    ChildResumeForgotten,
    /// The end of a child is told before all it has printed.
    ChildEndHasty,
    /// A child goes on when the connection that asked for it has ended.
    ChildForgotten,
}

/// What an event refers to. Packs the slot's key and a sequence number, so that a key used again never
/// receives the old socket's event (invariant I6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub usize);

impl Token {
    /// Reserved: the driver's own waker.
    pub const WAKER: Self = Self(usize::MAX);
    /// Reserved: signals.
    pub const SIGNALS: Self = Self(usize::MAX - 1);
    /// Reserved: the driver's alarm; it needs no answer.
    pub const ALARM: Self = Self(usize::MAX - 2);
}

/// One notification of the poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Whom it concerns.
    pub token: Token,
    /// What has become possible.
    pub ready: Readiness,
}

/// Signals that arrived since they were last asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signals {
    /// Stop orders (SIGINT, SIGTERM): how many, and the number of the last one.
    pub stops: u32,
    /// The number of the last stop signal, e.g. 15.
    pub last: i32,
    /// Requests to log the statistics (SIGUSR1).
    pub reports: u32,
    /// Another thread asked for a drain.
    pub drain: bool,
    /// Another thread asked for an end at once.
    pub at_once: bool,
}

/// What a reactor asks of the operating system.
///
/// Registration is edge-triggered, for reading and writing at once, and for the socket's whole life: an event
/// comes when something becomes possible, not while it is (epoll(7), EPOLLET).
///
/// The reactor is generic over it, so a protocol can be run on another kernel than the system's:
///
/// ```
/// use oneloop::kernel::Kernel;
/// use oneloop::reactor::{Config, MioKernel, Reactor};
///
/// let mut kernel = MioKernel::new()?;
/// kernel.poll(Some(std::time::Duration::ZERO))?;
/// assert_eq!(kernel.events().count(), 0);
/// let reactor = Reactor::with_kernel(kernel, Config::default());
/// assert_eq!(reactor.slots_in_use(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Kernel: fmt::Debug {
    /// A connected, or connecting, stream socket. Dropping it closes and deregisters it.
    type Stream: Stream + fmt::Debug;
    /// A listening socket. Dropping it closes and deregisters it.
    type Listener: fmt::Debug;
    /// A datagram socket. Dropping it closes and deregisters it.
    type Datagrams: DatagramSocket;

    /// Monotonic time.
    fn now(&mut self) -> Instant;

    /// Wall-clock time.
    fn wall(&mut self) -> SystemTime;

    /// Waits for events, at most for `timeout` (`None`: for ever). A signal may end the wait early.
    ///
    /// # Errors
    /// Any error means that the poll is unusable.
    fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// The events of the last [`poll`](Self::poll).
    fn events(&self) -> impl Iterator<Item = Event> + '_;

    /// Accepts one connection, non-blocking and close-on-exec.
    ///
    /// # Errors
    /// accept(2); classified by [`attempt_accept`](crate::attempt::attempt_accept).
    fn accept(&mut self, listener: &Self::Listener) -> io::Result<(Self::Stream, Address)>;

    /// Out of descriptors: gives up the reserve descriptor, accepts one connection with it, closes that
    /// connection so that its peer knows, and takes the reserve back. `Ok(false)` when there is no reserve.
    ///
    /// # Errors
    /// accept(2).
    fn shed(&mut self, listener: &Self::Listener) -> io::Result<bool>;

    /// Begins to connect. The outcome comes as an event; ask [`connect_result`](Self::connect_result) then.
    ///
    /// # Errors
    /// connect(2), socket(2).
    fn connect(&mut self, to: &Address) -> io::Result<Self::Stream>;

    /// What became of a connection begun: `Ok(true)` made, `Ok(false)` not decided yet.
    ///
    /// # Errors
    /// The connect's own error (SO_ERROR).
    fn connect_result(&mut self, stream: &Self::Stream) -> io::Result<bool>;

    /// Registers a stream for its whole life.
    ///
    /// # Errors
    /// epoll_ctl(2): ENOMEM, ENOSPC.
    fn register_stream(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()>;

    /// Registers a listener for its whole life.
    ///
    /// # Errors
    /// epoll_ctl(2): ENOMEM, ENOSPC.
    fn register_listener(&mut self, listener: &mut Self::Listener, token: Token) -> io::Result<()>;

    /// Registers a datagram socket for its whole life.
    ///
    /// # Errors
    /// epoll_ctl(2): ENOMEM, ENOSPC.
    fn register_datagrams(&mut self, socket: &mut Self::Datagrams, token: Token) -> io::Result<()>;

    /// Starts a program, with pipes as its standard output and error, and registers both and the end of the process under
    /// `token`, for their whole life. Kernels without children, as by default, refuse.
    ///
    /// # Errors
    /// fork(2), execve(2), pipe(2), pidfd_open(2), epoll_ctl(2).
    fn spawn(&mut self, spec: &ChildSpec, token: Token) -> io::Result<Box<dyn ChildProcess>> {
        let _ = (spec, token);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What had this token is closed. Nothing is to be done where closing deregisters.
    fn forget(&mut self, token: Token) {
        let _ = token;
    }

    /// Signals since the last call, after an event for [`Token::SIGNALS`].
    fn take_signals(&mut self) -> Signals {
        Signals::default()
    }
}
