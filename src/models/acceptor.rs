//! One thread per listener: accepts, and serves itself or lets another thread serve.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::blocking::{Model, rest_after_error};
use super::converse::converse;
use super::registry::{Admission, Shared};
use crate::address::Address;
use crate::attempt::{Attempt, Failure, FailureClass, attempt_accept};
use crate::error::Error;
use crate::os::sockets::StreamListener;
use crate::os::stream::Socket;
use crate::reactor::OverLimit;
use crate::session::{CloseReason, Factory, Peer};

/// How long accepting rests when the machine is out of something.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Failures in a row, each that of one connection as it seems, after which accepting rests all the same.
const FAILURES: u32 = 64;

/// Connections told by the reserve descriptor that there is no room, per pause.
const SHED_BATCH: u32 = 64;

/// The stack of a connection's thread. Untouched, it costs address space only.
const STACK: usize = 128 * 1024;

/// A listener and how its connections are served.
pub(super) struct Acceptor {
    pub(super) listener: StreamListener,
    pub(super) context: Arc<Context>,
    pub(super) model: Model,
    /// Another process accepts from it when this one stops.
    pub(super) is_shared: bool,
}

/// What all connections of one listener share.
pub(super) struct Context {
    /// Our side; the other one is asked for each connection.
    pub(super) local: Peer,
    pub(super) make: Factory,
    pub(super) shared: Arc<Shared>,
}

impl Acceptor {
    /// Accepts until a drain has emptied the queue, or has begun if the queue is another process's too.
    pub(super) fn run(self) {
        let mut failures = 0;
        let mut reserve = File::open("/dev/null").ok();
        let shared = &*self.context.shared;
        while !shared.is_over() {
            shared.wait_for_room();
            if self.is_shared && shared.is_stopping() {
                break;
            }
            match attempt_accept(|| self.listener.accept(false)) {
                Attempt::Done((socket, address)) => {
                    failures = 0;
                    self.serve(socket, &address);
                }
                Attempt::WouldBlock if shared.is_stopping() => break,
                Attempt::WouldBlock => self.wait(None),
                Attempt::Failed(failure) if failure.class == FailureClass::Fatal => {
                    let (address, errno) = (self.context.local.local.to_string(), failure.errno);
                    log::error!("listener unusable address={address} error=\"{failure}\"");
                    shared.fail(Error::Listener { address, errno });
                    break;
                }
                Attempt::Failed(failure) => {
                    failures += 1;
                    self.after_failure(failure, &mut failures, &mut reserve);
                }
            }
        }
    }

    fn serve(&self, socket: Socket, address: &Address) {
        let context = &self.context;
        log::trace!("accepted peer={address}");
        let Admission::Serve(peer) = context.shared.admit(socket, address, self.listener.is_unix()) else {
            return;
        };
        if self.model == Model::Iterative {
            // As on a thread of its own: a service that panics ends one conversation, not the listener.
            let body = || converse(&peer, &context.make, &context.local, &context.shared);
            let _ = catch_unwind(AssertUnwindSafe(body));
            return;
        }
        let (owned, served) = (context.clone(), peer.clone());
        let body = move || converse(&served, &owned.make, &owned.local, &owned.shared);
        if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(body) {
            context.shared.release(&peer, &CloseReason::Io(Failure::of_stream(&error)));
            context.shared.count(|stats| stats.spawn_errors += 1);
            context.shared.warn(|suppressed| {
                log::warn!(
                    "cannot start a thread error=\"{error}\" effect=\"the connection is closed\" remedy=\"fewer \
                     --max-connections, or raise `ulimit -u`, the cgroup's pids.max, or vm.max_map_count\" \
                     suppressed={suppressed}"
                );
            });
        }
    }

    /// One connection is lost, or the machine is out of something, which no event announces the end of.
    fn after_failure(&self, failure: Failure, failures: &mut u32, reserve: &mut Option<File>) {
        let shared = &*self.context.shared;
        let one_lost = failure.class == FailureClass::Retry;
        shared.count(|stats| stats.accept_errors += u64::from(one_lost));
        if one_lost && *failures < FAILURES {
            return;
        }
        *failures = 0;
        shared.count(|stats| stats.accept_pauses += 1);
        if shared.config.over_limit == OverLimit::Refuse && !one_lost {
            self.shed(reserve);
        }
        shared.warn(|suppressed| {
            log::warn!("accepting paused error=\"{failure}\" retry_ms=100 suppressed={suppressed}");
        });
        thread::sleep(Duration::try_from(PAUSE).unwrap_or_default());
    }

    /// Gives up the reserve descriptor to accept and close, so that those who wait know.
    fn shed(&self, reserve: &mut Option<File>) {
        for _ in 0..SHED_BATCH {
            if reserve.take().is_none() {
                break;
            }
            let accepted = self.listener.accept(false);
            let told = accepted.is_ok();
            drop(accepted);
            *reserve = File::open("/dev/null").ok();
            if !told {
                break;
            }
            self.context.shared.count(|stats| stats.shed += 1);
        }
        if reserve.is_none() {
            *reserve = File::open("/dev/null").ok();
        }
    }

    /// Waits until somebody comes, or a drain begins.
    fn wait(&self, timeout: Option<&Timespec>) {
        let mut fds = [
            PollFd::new(&self.listener, PollFlags::IN),
            PollFd::new(&self.context.shared.stop_event, PollFlags::IN),
        ];
        rest_after_error(poll(&mut fds, timeout));
    }
}
