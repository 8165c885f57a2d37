//! The whole reactor over a kernel in memory, with faults and virtual time.
//!
//! A run follows from its seed: some clients with plans of their own, and a kernel that does to the reactor
//! what kernels may do. Reads and writes are short, calls are interrupted, buffers run out; events come
//! late, twice, in any order, for nothing and for the dead; descriptors and connections are scarce; the wall
//! clock jumps. Every byte carries its connection and its offset, and is checked when it is written.
//! In half of the runs datagram sockets are on the same loop, with queues that overflow, batches of any size,
//! and errors about replies; every datagram carries its number, and its replies are checked when they are sent.
//! In half of the runs whoever sends without being asked has it printed by a child process, through a pipe with little room;
//! children end before or after their pipes, some are deaf to SIGTERM, some are not started.
//!
//! What must hold: a client that ended its side hears an answer to everything, then the end of the stream;
//! no connection stalls until a limit ends it, and no limit is late; nothing is read or written without an
//! event that allows it; no memory is kept beyond the limits; a drain loses nothing that had arrived; in the end
//! every descriptor, slot and deadline is back, and the reactor's counters are the kernel's. Each reply to a
//! datagram is sent once, whole, in order, in time and to its client, or is counted as lost.
//!
//! [`exhaust`] does not draw but counts: it lives through every world of a kind that is tiny enough.
//!
//! [`Simulation`] runs the crate's own services, [`survives_any_kernel`] your protocol,
//! [`survives_any_kernel_datagrams`] your datagram handler, a [`Transcript`] a conversation turn by turn. `cargo test --test
//! simulation` runs tens of thousands of seeds; `cargo bench --bench simulation` runs millions and says how fast.

mod ceilings;
mod children;
mod client;
mod conn;
mod datagrams;
mod events;
mod exhaust;
mod faults;
mod judge;
mod kernel;
mod odometer;
mod payload;
mod plan;
mod probe;
mod report;
mod rng;
mod run;
mod socket;
mod tiny;
mod transcript;
mod world;

pub use self::exhaust::{Counterexample, Exhausted, exhaust, replay, survives_every_order};
pub use self::report::{Failure, Report};
pub use self::run::Simulation;
pub use self::tiny::Kind;
pub use self::transcript::{Step, Transcript};

use self::datagrams::Exchange;
use self::run::Conversation;
use crate::kernel::Planted;
use crate::session::{DatagramHandler, Peer, Protocol, datagram_factory, factory};

/// A bug for the driver above the simulated kernel, as a type, so that production pays nothing for it.
pub trait Bug: std::fmt::Debug + 'static {
    /// The bug.
    const PLANTED: Planted;
}

/// No bug: the driver as it is.
#[derive(Debug, Clone, Copy)]
pub struct Sound;

impl Bug for Sound {
    const PLANTED: Planted = Planted::Nothing;
}

/// Lives through the run that follows from `seed`, with the crate's own services.
///
/// Many runs are faster with one [`Simulation`], which keeps its memory.
///
/// # Errors
/// [`Failure`], which says what broke and how to see it again.
pub fn run_seed<B: Bug>(seed: u64) -> Result<Report, Failure> {
    Simulation::<B>::new().run(seed)
}

/// Runs a protocol of your own under `seeds` kernels, none of them kind.
///
/// In each run several clients say `says`, cut into pieces at any place, end their side, and must hear
/// exactly `hears` and then the end of the stream; some reset their connection instead. The protocol may
/// depend neither on how the bytes are cut nor on how fast the client reads.
///
/// ```
/// use oneloop::codec::Lines;
/// use oneloop::session::{Context, Framed, Service};
/// use oneloop::testing::sim::survives_any_kernel;
///
/// struct Shout;
///
/// impl Service for Shout {
///     fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
///         cx.reply(&frame.to_ascii_uppercase());
///     }
/// }
///
/// survives_any_kernel(200, |_peer| Framed::new(Lines::default(), Shout), b"hello\nworld", b"HELLO\nWORLD\n");
/// ```
///
/// # Panics
/// With the seed and what broke, when a run fails.
pub fn survives_any_kernel<P: Protocol + 'static>(
    seeds: u64,
    make: impl Fn(&Peer) -> P + Send + Sync + 'static,
    says: &[u8],
    hears: &[u8],
) {
    let conversation = Conversation { says: says.to_vec(), hears: hears.to_vec() };
    survive(Simulation::with(Some(factory(make)), Some(conversation)), seeds);
}

/// Runs a datagram handler of your own under `seeds` kernels, none of them kind.
///
/// In each run several clients send `says`, some of them often and many at once, to one or two sockets with a handler
/// each; a few connections are served by the same loop. For each datagram that the server receives its sender must be
/// sent each of `hears`, in any order, at once or later, unless there was no room for it. Nothing else may be sent,
/// and nothing to source ports that are not to be answered.
///
/// ```
/// use oneloop::session::{DatagramContext, DatagramHandler};
/// use oneloop::testing::sim::survives_any_kernel_datagrams;
/// use std::time::Duration;
///
/// struct Shout;
///
/// impl DatagramHandler for Shout {
///     fn on_datagram(&mut self, data: &[u8], cx: &mut DatagramContext<'_>) {
///         cx.reply(&data.to_ascii_uppercase());
///         cx.reply_after(b"...", Duration::from_millis(20));
///     }
/// }
///
/// survives_any_kernel_datagrams(200, |_socket| Shout, b"hello", &[b"HELLO", b"..."]);
/// ```
///
/// # Panics
/// With the seed and what broke, when a run fails.
pub fn survives_any_kernel_datagrams<H: DatagramHandler + 'static>(
    seeds: u64,
    make: impl Fn(&Peer) -> H + Send + Sync + 'static,
    says: &[u8],
    hears: &[&[u8]],
) {
    let hears = hears.iter().map(|reply| reply.to_vec()).collect();
    let exchange = Exchange { says: says.to_vec(), hears };
    survive(Simulation::with_datagrams(datagram_factory(make), exchange), seeds);
}

fn survive(mut simulation: Simulation<Sound>, seeds: u64) {
    for seed in 0..seeds {
        if let Err(failure) = simulation.run(seed) {
            panic!("seed {}: {}", failure.seed, failure.what);
        }
    }
}
