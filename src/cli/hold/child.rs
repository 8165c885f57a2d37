//! One process of a run that several share: it does as its parent says.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::options::{Options, Share};
use super::wire::{Found, Order, Report};
use crate::address::Address;
use crate::cli::exit::{Exit, Failure};
use crate::cli::member::{Listener, Member, Speaker};
use crate::hold::{self, Phase, Progress};
use crate::os::limits::raise_open_files;

/// How often it says how far it is.
const SAY_EVERY: Duration = Duration::from_millis(100);

/// Opens, holds and reports. What goes wrong is said by the parent.
pub(super) fn work(options: &Options, member: Member) -> Result<Exit, Failure> {
    let _ = raise_open_files();
    let (mut listener, mut speaker) = member.split();
    let gone = |error| Failure { exit: Exit::CouldNotRun, message: format!("the parent is gone: {error}") };
    speaker.say(&Report::Ready).map_err(gone)?;
    let Order::Open { targets, first, connections, processes } = listener.hear().map_err(gone)? else {
        return Ok(Exit::Done);
    };
    let parsed = targets.iter().map(|text| text.parse()).collect::<Result<Vec<Address>, _>>();
    let report = match parsed {
        Ok(targets) => {
            let plan = options.plan(targets, Share { first, connections, processes });
            let mut directed = Directed { orders: listen(listener), speaker: &mut speaker, said: None };
            let found = hold::hold(&plan, &mut |progress| directed.direct(progress));
            found.map_or_else(
                |error| Report::Failed(error.to_string()),
                |found| Report::Found(Box::new(Found::of(&found))),
            )
        }
        Err(error) => Report::Failed(error.to_string()),
    };
    speaker.say(&report).map_err(gone)?;
    Ok(Exit::Done)
}

/// Orders come in a thread of their own: the loop does not wait for them.
fn listen(mut listener: Listener) -> Receiver<Order> {
    let (tell, orders) = channel();
    thread::spawn(move || {
        while let Ok(order) = listener.hear() {
            if tell.send(order).is_err() {
                return;
            }
        }
    });
    orders
}

struct Directed<'a> {
    orders: Receiver<Order>,
    speaker: &'a mut Speaker,
    /// What was said last, and when.
    said: Option<(Progress, Instant)>,
}

impl Directed<'_> {
    fn direct(&mut self, progress: &Progress) -> hold::Order {
        let due = self.said.is_none_or(|(last, at)| {
            last.phase != progress.phase || (last != *progress && at.elapsed() >= SAY_EVERY)
        });
        if due {
            self.said = Some((*progress, Instant::now()));
            if self.speaker.say(&Report::now(progress, progress.phase != Phase::Opening)).is_err() {
                return hold::Order::Stop;
            }
        }
        match self.orders.try_recv() {
            Ok(Order::Check) => hold::Order::Check,
            Ok(Order::Open { .. }) | Err(TryRecvError::Empty) => hold::Order::Continue,
            Ok(Order::Stop) | Err(TryRecvError::Disconnected) => hold::Order::Stop,
        }
    }
}
