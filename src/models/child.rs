//! A child process on a blocking thread: it waits for its socket, the child's pipes and the child's end at once, by poll(2).

use std::os::fd::BorrowedFd;
use std::time::Duration;

use log::debug;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::converse::Conversation;
use crate::connection::Progress;
use crate::job::Job;
use crate::kernel::{ChildProcess, Readiness};
use crate::session::{ChildEvent, ChildSpec, SpawnFailure};

/// How long a thread waits at most before it looks whether it is to end at once.
const LOOK: Duration = Duration::from_millis(50);

/// What a wait has brought.
struct Ready {
    input: bool,
    left: bool,
    child: bool,
}

impl Conversation<'_> {
    /// Does what can be done without waiting, or waits once, while a child is asked for or runs.
    #[cold]
    #[inline(never)]
    pub(super) fn step_with_child(&mut self, deadline: Option<Duration>, scratch: &mut [u8]) -> Progress {
        if let Some(spec) = self.connection.session_mut().poll_spawn() {
            self.start_child(&spec);
            return self.connection.go_on(scratch, &mut self.pass);
        }
        if self.connection.session_mut().poll_abandoned().is_some() {
            self.end_child();
            return self.connection.go_on(scratch, &mut self.pass);
        }
        let now = self.pass.now().tick;
        if let Some(job) = self.job.as_mut().filter(|job| job.poll_timeout().is_some_and(|at| at.is_due(now)))
        {
            job.handle_timeout(now);
        }
        if self.connection.session().wants_write() {
            // Waits in send(2), as long as that may.
            self.connection.note(Readiness::WRITABLE);
            return self.connection.drive(scratch, &mut self.pass);
        }
        if self.tell_child(scratch) {
            return self.connection.go_on(scratch, &mut self.pass);
        }
        let ready = self.wait_with_child(deadline);
        self.read_clock(self.shared);
        if let Some(job) = self.job.as_mut().filter(|_| ready.child) {
            job.note();
        }
        if ready.left {
            self.connection.note(Readiness::READ_CLOSED);
            return self.connection.go_on(scratch, &mut self.pass);
        }
        if ready.input { self.read(scratch) } else { Progress::Blocked }
    }

    /// Hands on what the child has to tell, and says whether that was anything.
    fn tell_child(&mut self, scratch: &mut [u8]) -> bool {
        let now = self.pass.now().tick;
        let Some(job) = self.job.as_mut().filter(|_| self.connection.session().wants_child_output()) else {
            return false;
        };
        let room = self.connection.session().child_room(&self.pass).min(scratch.len());
        let Some(event) = job.poll(&mut scratch[..room], now) else { return false };
        if let ChildEvent::Ended(_) = event {
            self.drop_child();
        }
        self.connection.handle_child(event, &mut self.pass);
        true
    }

    fn start_child(&mut self, spec: &ChildSpec) {
        let started = if self.shared.begin_job() {
            spawn(spec).map_err(|error| {
                self.shared.end_job();
                SpawnFailure::Failed(error.raw_os_error().unwrap_or(0))
            })
        } else {
            Err(SpawnFailure::TooMany { max: self.shared.config.max_jobs })
        };
        match started {
            Ok(child) => {
                let job = Job::new(child, spec, self.pass.now().tick);
                debug!("child started pid={} program={}", job.id(), spec.program.display());
                self.connection.session_mut().handle_spawned(u64::from(job.id()));
                self.job = Some(Box::new(job));
                self.shared.count(|stats| stats.jobs += 1);
            }
            Err(failure) => {
                debug!("child not started error=\"{failure}\"");
                self.shared.count(|stats| stats.jobs_refused += 1);
                self.connection.handle_child(ChildEvent::NotStarted(failure), &mut self.pass);
            }
        }
    }

    fn drop_child(&mut self) {
        if let Some(job) = self.job.take() {
            debug!("child ended pid={}", job.id());
            drop(job);
            self.shared.end_job();
        }
    }

    /// The conversation has ended before its child: waits until that has, which is 2 s at most, or kills it when even that
    /// is too long.
    pub(super) fn end_child(&mut self) {
        if self.job.is_none() {
            return;
        }
        self.shared.count(|stats| stats.jobs_abandoned += 1);
        self.read_clock(self.shared);
        let mut now = self.pass.now().tick;
        if let Some(job) = &mut self.job {
            job.abandon(now);
        }
        while let Some(job) = self.job.as_mut().filter(|_| !self.peer.is_cut()) {
            if let Some(ChildEvent::Ended(_)) = job.poll(&mut [], now) {
                break;
            }
            wait_for_end(job);
            self.read_clock(self.shared);
            now = self.pass.now().tick;
            let Some(job) = &mut self.job else { break };
            job.note();
            job.handle_timeout(now);
        }
        self.drop_child();
    }

    fn wait_with_child(&self, deadline: Option<Duration>) -> Ready {
        let session = self.connection.session();
        let wants_input = (session.wants_read() || session.wants_discard()) && !self.peer.is_shut();
        let mut watched = PollFlags::empty();
        if wants_input {
            watched |= PollFlags::IN;
        }
        // The end of the stream is our own making once our reading side is shut down.
        if !self.peer.is_shut() {
            watched |= PollFlags::RDHUP;
        }
        let own = self.job.as_ref().and_then(|job| job.poll_timeout()).map(|at| self.pass.now().until(at));
        let wait = [own, deadline].into_iter().flatten().min();
        let mut fds = vec![PollFd::new(self.peer.socket(), watched)];
        let listens = session.wants_child_output();
        fds.extend(self.job.iter().flat_map(|job| job.descriptors(listens)).map(input));
        let of_child = fds.len();
        if !self.peer.is_stopping() {
            fds.push(PollFd::new(&self.shared.stop_event, PollFlags::IN));
        }
        let timeout = wait.and_then(|wait| Timespec::try_from(wait).ok());
        super::blocking::rest_after_error(poll(&mut fds, timeout.as_ref()));
        let said = fds[0].revents();
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        Ready {
            input: wants_input && !said.is_empty(),
            left: said.intersects(gone) && !self.peer.is_shut(),
            child: fds[1..of_child].iter().any(|fd| !fd.revents().is_empty()),
        }
    }
}

fn input(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}

fn wait_for_end(job: &Job) {
    let mut fds: Vec<PollFd<'_>> = job.descriptors(false).map(input).collect();
    super::blocking::rest_after_error(poll(&mut fds, Timespec::try_from(LOOK).ok().as_ref()));
}

#[cfg(all(feature = "exec", target_os = "linux"))]
fn spawn(spec: &ChildSpec) -> std::io::Result<Box<dyn ChildProcess>> {
    Ok(Box::new(crate::os::children::spawn(spec)?))
}

#[cfg(not(all(feature = "exec", target_os = "linux")))]
fn spawn(_: &ChildSpec) -> std::io::Result<Box<dyn ChildProcess>> {
    Err(std::io::ErrorKind::Unsupported.into())
}
