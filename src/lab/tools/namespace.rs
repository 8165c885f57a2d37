//! A network of one's own: no other program's ports, queues and TIME_WAITs, and settings that may be changed.

use std::io;

use nix::sched::{CloneFlags, unshare};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// rtnetlink(7): change a link. The loopback is the first link of every namespace.
const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST_ACK: u16 = 1 | 4;
const NLMSG_ERROR: u16 = 2;
const LOOPBACK: u32 = 1;
const IFF_UP: u32 = 1;
/// A header of 16 bytes and a `struct ifinfomsg` of 16.
const LENGTH: u32 = 32;

/// Moves this thread, and those it starts from now on, to a new network namespace whose loopback is up.
///
/// # Errors
/// It may not: EPERM without CAP_SYS_ADMIN.
pub fn enter() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    raise_loopback()
}

/// Whether a thread of this process can be moved to one. This thread stays where it is.
#[must_use]
pub fn is_possible() -> bool {
    std::thread::spawn(|| enter().is_ok()).join().unwrap_or(false)
}

/// `ip link set lo up`.
fn raise_loopback() -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &request(), SendFlags::empty(), &kernel)?;
    let mut answer = [0; 64];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    match error_of(&answer[..length]) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn request() -> Vec<u8> {
    let mut request = Vec::new();
    request.extend(LENGTH.to_ne_bytes());
    request.extend(RTM_NEWLINK.to_ne_bytes());
    request.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    // Sequence number and sender; then family and type, which do not matter here.
    request.extend([0; 8 + 4]);
    request.extend(LOOPBACK.to_ne_bytes());
    // The flags, and which of them are meant.
    request.extend(IFF_UP.to_ne_bytes());
    request.extend(IFF_UP.to_ne_bytes());
    request
}

/// netlink(7): an acknowledgement is an error message whose error is 0.
fn error_of(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let errno = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == NLMSG_ERROR).then_some(errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_it_says() {
        assert_eq!(request().len(), LENGTH as usize);
        assert_eq!(error_of(&[0; 10]), None);
    }
}
