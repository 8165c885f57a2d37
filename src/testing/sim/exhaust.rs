//! Every world of a kind, one after another: no seed decides what is tried.

use std::fmt;

use super::odometer::Odometer;
use super::run::{Conversation, Simulation};
use super::{Bug, Kind, Report, Sound};
use crate::session::{Peer, Protocol, factory};

/// Worlds that were lived through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exhausted {
    /// How many worlds.
    pub worlds: u64,
    /// Whether these were all; else the bound ended it.
    pub complete: bool,
    /// What happened in all of them together.
    pub sum: Report,
}

/// A world that broke a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counterexample {
    /// The kind of world.
    pub kind: Kind,
    /// How many worlds of its kind were sound before it.
    pub before: u64,
    /// Everything that was chosen in it, for [`replay`]; what is not named is 0.
    pub choices: Vec<u8>,
    /// What broke.
    pub what: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, before, choices, what } = self;
        write!(
            f,
            "after {before} sound worlds of {kind:?}: {what}\nreplay with: replay({kind:?}, &{choices:?})"
        )
    }
}

impl std::error::Error for Counterexample {}

/// Lives through every world of this kind, at most `most` of them.
///
/// Two connections with two bytes each, and a kernel that is asked for every decision in turn: which events it
/// reports in which order, how much a call moves, which fault comes where. What must hold is what must hold in a
/// [`Simulation`].
///
/// ```
/// use oneloop::testing::sim::{Kind, Sound, exhaust};
///
/// let some = exhaust::<Sound>(Kind::Orders, 1_000).expect("the loop is sound");
/// assert_eq!((some.worlds, some.complete), (1_000, false));
/// ```
///
/// # Errors
/// [`Counterexample`]: the first world that broke something.
pub fn exhaust<B: Bug>(kind: Kind, most: u64) -> Result<Exhausted, Counterexample> {
    walk(&mut Simulation::<B>::new(), kind, most)
}

/// Lives through the one world of this kind in which this is chosen.
///
/// # Errors
/// What broke.
pub fn replay<B: Bug>(kind: Kind, choices: &[u8]) -> Result<Report, String> {
    Simulation::<B>::new().run_tiny(kind, &mut Box::new(Odometer::at(choices)))
}

/// Runs a protocol of your own through every order of events and every short read and write, at most `most` worlds,
/// and says how many those were.
///
/// In each, two clients say `says`, end their side, and must hear exactly `hears` and then the end of the stream.
/// A few bytes are many worlds: each further one multiplies them by about ten.
///
/// ```
/// use oneloop::codec::Lines;
/// use oneloop::services::Echo;
/// use oneloop::session::Framed;
/// use oneloop::testing::sim::survives_every_order;
///
/// survives_every_order(1_000, |_peer| Framed::new(Lines::default(), Echo), b"a\n", b"a\n");
/// ```
///
/// # Panics
/// With the world and what broke, when one fails.
pub fn survives_every_order<P: Protocol + 'static>(
    most: u64,
    make: impl Fn(&Peer) -> P + Send + Sync + 'static,
    says: &[u8],
    hears: &[u8],
) -> u64 {
    let conversation = Conversation { says: says.to_vec(), hears: hears.to_vec() };
    let mut simulation = Simulation::<Sound>::with(Some(factory(make)), Some(conversation));
    match walk(&mut simulation, Kind::Orders, most) {
        Ok(exhausted) => exhausted.worlds,
        Err(found) => panic!("{found}"),
    }
}

fn walk<B: Bug>(simulation: &mut Simulation<B>, kind: Kind, most: u64) -> Result<Exhausted, Counterexample> {
    let mut odometer = Box::new(Odometer::new(kind.bound()));
    let mut exhausted = Exhausted::default();
    while exhausted.worlds < most {
        match simulation.run_tiny(kind, &mut odometer) {
            Ok(report) => exhausted.sum += report,
            Err(what) => {
                let (before, choices) = (exhausted.worlds, odometer.choices());
                return Err(Counterexample { kind, before, choices, what });
            }
        }
        exhausted.worlds += 1;
        if !odometer.advance() {
            exhausted.complete = true;
            break;
        }
    }
    Ok(exhausted)
}
