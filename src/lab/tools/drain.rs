//! Reading everything.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::wait;

/// Receives exactly `count` bytes, waiting for them with a deadline.
///
/// # Errors
/// The stream ended before, failed, or was too slow.
pub fn exactly(socket: impl AsFd, count: usize) -> io::Result<Vec<u8>> {
    let mut all = vec![0; count];
    let mut have = 0;
    while have < count {
        wait::readable(&socket)?;
        match recv(&socket, &mut all[have..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((more, _)) => have += more,
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}

/// Receives until the peer has ended; returns how many bytes came.
///
/// # Errors
/// The stream failed, or nothing came for too long.
pub fn to_end(socket: impl AsFd) -> io::Result<usize> {
    let mut buffer = [0; 16 * 1024];
    let mut total = 0;
    loop {
        wait::readable(&socket)?;
        match recv(&socket, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Ok(total),
            Ok((more, _)) => total += more,
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
