//! What the two older calls say at this moment: select(2) and poll(2).

use std::io;
use std::os::fd::AsFd;

use nix::sys::select::{FdSet, select};
use nix::sys::time::TimeVal;
use rustix::event::epoll::EventFlags;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether select(2) says that `fd` is readable, and that it is writable. Its number must be below 1024.
///
/// # Errors
/// Those of the call.
pub fn select_now(fd: impl AsFd) -> io::Result<(bool, bool)> {
    let (mut readable, mut writable) = (FdSet::new(), FdSet::new());
    readable.insert(fd.as_fd());
    writable.insert(fd.as_fd());
    let mut at_once = TimeVal::new(0, 0);
    select(None, &mut readable, &mut writable, None, &mut at_once)?;
    Ok((readable.contains(fd.as_fd()), writable.contains(fd.as_fd())))
}

/// What poll(2) says of what it is asked for. The bits are epoll's.
///
/// # Errors
/// Those of the call.
pub fn poll_now(fd: impl AsFd, asked: EventFlags) -> io::Result<EventFlags> {
    let asked = PollFlags::from_bits_truncate(u16::try_from(asked.bits()).unwrap_or(u16::MAX));
    let mut fds = [PollFd::new(&fd, asked)];
    poll(&mut fds, Some(&Timespec::default()))?;
    Ok(EventFlags::from_bits_retain(fds[0].revents().bits().into()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn both_see_what_is_there() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let both = EventFlags::IN | EventFlags::OUT;
        assert_eq!(
            (select_now(&far).unwrap(), poll_now(&far, both).unwrap()),
            ((false, true), EventFlags::OUT)
        );
        near.write_all(b"x").unwrap();
        assert_eq!((select_now(&far).unwrap(), poll_now(&far, both).unwrap()), ((true, true), both));
    }
}
