//! Filling a socket or a pipe until nothing more goes in.

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::wait::{DEADLINE, too_late};

/// How many refusals in a row, a millisecond apart, mean full: acknowledgements make room after the first EAGAIN.
const REFUSALS: u32 = 250;

/// Sends zeros with MSG_DONTWAIT until the socket takes nothing for 250 ms, longer than an acknowledgement is delayed (200 ms); returns how many bytes it took.
///
/// # Errors
/// Those of send(2), and a socket that is never full.
pub fn until_full(socket: impl AsFd) -> io::Result<usize> {
    const CHUNK: [u8; 4096] = [0; 4096];
    let deadline = Instant::now() + DEADLINE;
    let (mut taken, mut refusals) = (0, 0);
    while refusals < REFUSALS {
        match send(&socket, &CHUNK, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(count) => (taken, refusals) = (taken + count, 0),
            Err(Errno::AGAIN) => {
                refusals += 1;
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error.into()),
        }
        if Instant::now() > deadline {
            return Err(too_late("it did not fill up"));
        }
    }
    Ok(taken)
}
