//! One thread per UDP socket.

use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::blocking::Model;
use super::registry::Shared;
use crate::connection::Progress;
use crate::error::Error;
use crate::kernel::{BATCH, Readiness, RecvBatch};
use crate::os::datagrams::{BoundDatagrams, DatagramPort};
use crate::port::Port;
use crate::session::{DatagramHandler, Datagrams, Pass};

/// How often a thread looks whether the drain's time is up.
const LOOK: Duration = Duration::from_millis(50);

/// Answers the datagrams of one socket until a drain has emptied its queue. The iterative model receives one, answers it,
/// and only then looks for the next; a held reply keeps it waiting.
pub(super) fn serve(
    socket: BoundDatagrams,
    handler: Box<dyn DatagramHandler>,
    model: Model,
    shared: &Shared,
) {
    let socket = match DatagramPort::new(socket) {
        Ok(socket) => socket,
        Err(error) => return shared.fail(Error::Poll(error)),
    };
    let datagrams = Datagrams::new(handler);
    let (datagrams, room) = match model {
        Model::Threads => (datagrams, BATCH),
        Model::Iterative => (datagrams.one_at_a_time(), 1),
    };
    let mut batch = RecvBatch::with_room(room);
    shared.watch_drops(socket.drops());
    let mut port = Port::new(socket, datagrams);
    let now = shared.clock.at(Instant::now(), SystemTime::now());
    let mut pass = Pass::new(shared.config.limits.clone(), now);
    let mut progress = Progress::Blocked;
    let mut stopped = false;
    while progress != Progress::Closed && !shared.is_over() {
        let ready = wait(&port, progress == Progress::Yielded, stopped, &pass, shared);
        pass.set_now(shared.clock.at(Instant::now(), SystemTime::now()));
        port.note(ready);
        progress = if shared.is_stopping() && !stopped {
            stopped = true;
            port.handle_stop(&mut batch, &shared.guard, &mut pass)
        } else {
            port.handle_timeout(&mut batch, &shared.guard, &mut pass)
        };
        shared.add_datagrams(pass.take_datagrams());
    }
    if progress != Progress::Closed {
        port.give_up(&mut pass);
        port.give_up_queue(&mut batch, &mut pass);
    }
    shared.add_datagrams(pass.take_datagrams());
    shared.keep_drops(port.socket().drops());
}

/// Waits for the socket, a deadline or the drain, and says what the socket is ready for.
fn wait(port: &Port<DatagramPort>, at_once: bool, stopped: bool, pass: &Pass, shared: &Shared) -> Readiness {
    let mut wanted = PollFlags::empty();
    wanted.set(PollFlags::IN, port.wants_read());
    wanted.set(PollFlags::OUT, port.wants_write());
    let stop = if stopped { PollFlags::empty() } else { PollFlags::IN };
    let mut fds = [PollFd::new(port.socket(), wanted), PollFd::new(&shared.stop_event, stop)];
    let mut timeout = port.poll_timeout(pass).map(|at| pass.now().until(at));
    if at_once {
        timeout = Some(Duration::ZERO);
    } else if stopped {
        timeout = Some(timeout.map_or(LOOK, |left| left.min(LOOK)));
    }
    let timeout = timeout.and_then(|left| Timespec::try_from(left).ok());
    if poll(&mut fds, timeout.as_ref()).is_err() {
        return Readiness::NONE;
    }
    let found = fds[0].revents();
    let readable = found.intersects(PollFlags::IN | PollFlags::ERR);
    Readiness::new(readable, found.contains(PollFlags::OUT))
}
