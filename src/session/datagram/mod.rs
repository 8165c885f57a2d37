//! Datagrams: one handler per socket, no connection, the same seam to time and the same services.
//!
//! A [`DatagramHandler`] is given one datagram at a time and answers through a [`DatagramContext`]. A
//! [`Service`](super::Service) is one by [`EachDatagram`]. [`Datagrams`] is the sans-IO state of one socket: the
//! handler, replies the kernel has not taken yet, and replies held back for a while. All of it is bounded;
//! what does not fit is dropped and counted, as UDP itself would (udp(7)).

mod each;
mod guard;
mod held;
mod machine;
mod outbox;

pub use self::each::EachDatagram;
pub use self::guard::Guard;
pub use self::machine::Datagrams;
pub use self::outbox::Datagram;

use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use self::held::Held;
use self::outbox::Outbox;
use super::factory::Peer;
use super::pass::Pass;
use crate::address::{Address, Endpoint};

/// The largest payload of a datagram over IPv4 (udp(7)): 65,535 less the headers of IP and UDP.
pub const MAX_DATAGRAM: usize = 65_507;

/// Counters of datagrams, one set per driver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DatagramTraffic {
    /// Datagrams received, those the guard refused included.
    pub received: u64,
    /// Replies the kernel took.
    pub sent: u64,
    /// Datagrams refused because of the port they came from.
    pub guarded: u64,
    /// Replies dropped because too many waited to be sent, or were held back.
    pub overflow: u64,
    /// Replies the kernel refused for good: too long, no route, forbidden.
    pub send_errors: u64,
    /// Datagrams left unanswered at the end: the drain's time was up, or a second order to stop came.
    pub given_up: u64,
    /// Errors reported instead of a datagram, such as an ICMP message about an earlier reply.
    pub recv_errors: u64,
}

impl AddAssign for DatagramTraffic {
    fn add_assign(&mut self, more: Self) {
        self.received += more.received;
        self.sent += more.sent;
        self.guarded += more.guarded;
        self.overflow += more.overflow;
        self.send_errors += more.send_errors;
        self.given_up += more.given_up;
        self.recv_errors += more.recv_errors;
    }
}

/// What answers the datagrams of one socket. It knows no socket, no thread and no clock.
///
/// ```
/// use std::net::SocketAddr;
/// use oneloop::session::{DatagramContext, DatagramHandler};
/// use oneloop::testing::DatagramPair;
///
/// /// Answers with the length of what came.
/// struct Length;
///
/// impl DatagramHandler for Length {
///     fn on_datagram(&mut self, data: &[u8], cx: &mut DatagramContext<'_>) {
///         cx.reply(data.len().to_string().as_bytes());
///     }
/// }
///
/// let mut pair = DatagramPair::new(Length);
/// let from: SocketAddr = "127.0.0.1:5000".parse().expect("numeric");
/// assert_eq!(pair.send(b"hello", from), [(b"5".to_vec(), from)]);
/// ```
pub trait DatagramHandler {
    /// One datagram arrived, whole; it may be empty.
    fn on_datagram(&mut self, data: &[u8], cx: &mut DatagramContext<'_>);

    /// The driver's owner has something for a client's handler to do, now: what it replies goes to the one it talks to.
    fn on_wake(&mut self, cx: &mut DatagramContext<'_>) {
        let _ = cx;
    }

    /// A call on the socket failed with this errno: an ICMP message about an earlier datagram, as a rule.
    fn on_error(&mut self, errno: i32) {
        let _ = errno;
    }
}

/// Makes the handler of one socket, given that socket's address. Called in the thread that will own it.
pub type DatagramFactory = Arc<dyn Fn(&Peer) -> Box<dyn DatagramHandler> + Send + Sync>;

/// Boxes a closure as a [`DatagramFactory`].
pub fn datagram_factory<H: DatagramHandler + 'static>(
    make: impl Fn(&Peer) -> H + Send + Sync + 'static,
) -> DatagramFactory {
    Arc::new(move |socket| Box::new(make(socket)))
}

/// A handler's way to the outside for the length of one call.
pub struct DatagramContext<'a> {
    pass: &'a mut Pass,
    outbox: &'a mut Outbox,
    held: &'a mut Held,
    from: &'a Endpoint,
}

impl DatagramContext<'_> {
    /// Monotonic time, read once per turn of the driver.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.pass.now().instant
    }

    /// Wall-clock time for printing, up to a second old.
    #[must_use]
    pub const fn wall(&self) -> SystemTime {
        self.pass.now().wall
    }

    /// Who sent the datagram.
    #[must_use]
    pub fn from(&self) -> Address {
        self.from.address()
    }

    /// Sends one datagram to the sender. More than [`MAX_DATAGRAM`] bytes are refused by the kernel (EMSGSIZE), and
    /// counted; so are replies beyond the queue's bound.
    pub fn reply(&mut self, payload: &[u8]) {
        let kept = self.outbox.push(self.from, payload, self.pass.limits().datagrams);
        self.pass.datagrams_mut().overflow += u64::from(!kept);
    }

    /// [`reply`](Self::reply) after `delay`, or up to a millisecond later. As many replies are held back as may wait
    /// to be sent; further ones are dropped and counted.
    pub fn reply_after(&mut self, payload: &[u8], delay: Duration) {
        if delay.is_zero() {
            return self.reply(payload);
        }
        let max = self.pass.limits().datagrams;
        let at = self.now().checked_add(delay);
        let kept = at.is_some_and(|at| self.held.push(at, self.from, payload, max));
        self.pass.datagrams_mut().overflow += u64::from(!kept);
    }
}

impl fmt::Debug for DatagramContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramContext").field("from", &self.from).finish_non_exhaustive()
    }
}
