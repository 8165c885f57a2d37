//! A moment at which a turn ends its wait, exact to microseconds: timerfd_create(2) on the same poll. The poll's own
//! timeouts are rounded up to whole milliseconds.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Registry};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::{MioKernel, Reactor};
use crate::kernel::{Kernel, Token};

/// A timer that is set anew for each wait. It is never read: setting it anew forgets what it had counted.
#[derive(Debug)]
pub(super) struct Alarm(OwnedFd);

impl Alarm {
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&fd.as_raw_fd()), mio::Token(Token::ALARM.0), Interest::READABLE)?;
        Ok(Self(fd))
    }

    fn set(&self, wait: std::time::Duration) -> io::Result<()> {
        // A value of zero would switch it off.
        let nanos = i64::from(wait.subsec_nanos()).max(i64::from(wait.as_secs() == 0));
        let value = Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX), tv_nsec: nanos };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

impl Reactor<MioKernel> {
    /// Lets a [`turn`](Self::turn) that waits return at `at`, within what the system's timers can do (some ten microseconds).
    /// One alarm is kept; a new one replaces it.
    ///
    /// # Errors
    /// timerfd_create(2), the first time; epoll_ctl(2).
    pub fn set_alarm(&mut self, at: Instant) -> io::Result<()> {
        let wait = at.saturating_duration_since(self.kernel.now());
        self.kernel.alarm()?.set(wait)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_turn_ends_at_the_alarm_and_not_before() {
        let mut reactor = Reactor::new().unwrap();
        for micros in [0, 1, 300, 1500, 20_000] {
            let at = Instant::now() + Duration::from_micros(micros);
            reactor.set_alarm(at).unwrap();
            reactor.turn(Some(Duration::from_secs(30))).unwrap();
            assert!(Instant::now() >= at, "{micros}");
        }
    }

    #[test]
    fn a_new_alarm_replaces_the_one_before() {
        let mut reactor = Reactor::new().unwrap();
        let start = Instant::now();
        reactor.set_alarm(start + Duration::from_secs(30)).unwrap();
        reactor.set_alarm(start + Duration::from_millis(1)).unwrap();
        reactor.turn(Some(Duration::from_secs(20))).unwrap();
        assert!(start.elapsed() < Duration::from_secs(10));
        reactor.set_alarm(Instant::now() + Duration::from_secs(30)).unwrap();
        reactor.turn(Some(Duration::from_millis(20))).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(20), "the first alarm does not ring again");
    }
}
