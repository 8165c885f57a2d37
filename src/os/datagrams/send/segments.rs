//! Several datagrams of one size to one peer, sent as one that the kernel cuts into segments.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

use super::super::inet;
use crate::session::Datagram;

/// The largest segment: every path carries it, so that the kernel need not refuse to cut what would have to be cut again.
const MAX_SEGMENT: usize = 1200;

/// Below this a segmented send costs more than it saves.
const MIN_RUN: usize = 4;

/// Sends a run from the front of `batch` and says how many that were; `None` when there is no run, or the kernel
/// does not cut, or cannot just now, so that each has to be sent by itself.
pub(super) fn send(fd: &OwnedFd, batch: &[Datagram<'_>]) -> io::Result<Option<usize>> {
    let run = run(batch);
    if run < MIN_RUN {
        return Ok(None);
    }
    let first = &batch[0];
    let Ok(size) = u16::try_from(first.payload.len()) else { return Ok(None) };
    let slices: Vec<IoSlice<'_>> =
        batch[..run].iter().map(|datagram| IoSlice::new(datagram.payload)).collect();
    let (to, cut) = (SockaddrStorage::from(inet(first.to)), [ControlMessage::UdpGsoSegments(&size)]);
    match sendmsg(fd.as_raw_fd(), &slices, &cut, MsgFlags::MSG_DONTWAIT, Some(&to)) {
        Ok(_) => Ok(Some(run)),
        Err(error @ (Errno::EAGAIN | Errno::EINTR)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// How many datagrams from the front go to one peer and have one size; the last may be shorter.
fn run(batch: &[Datagram<'_>]) -> usize {
    let Some(first) = batch.first() else { return 0 };
    let size = first.payload.len();
    if size == 0 || size > MAX_SEGMENT {
        return 0;
    }
    let most = crate::session::MAX_DATAGRAM / size;
    let mut whole = 0;
    for datagram in batch.iter().take(most) {
        let len = datagram.payload.len();
        if datagram.to != first.to || len > size || len == 0 {
            break;
        }
        whole += 1;
        if len < size {
            break;
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, UdpSocket};

    use crate::address::Endpoint;

    fn to(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_run_has_one_peer_and_one_size_but_for_a_shorter_end() {
        for (sizes, expected) in [
            (&[(1, 3), (1, 3), (1, 3)][..], 3),
            (&[(1, 3), (1, 2), (1, 3)], 2),
            (&[(1, 3), (1, 4)], 1),
            (&[(1, 3), (2, 3)], 1),
            (&[(1, 3), (1, 0)], 1),
            (&[(1, 0), (1, 0)], 0),
            (&[(1, 1201), (1, 1201)], 0),
            (&[], 0),
        ] {
            let bytes = [0; 1300];
            let peers: Vec<Endpoint> = sizes.iter().map(|&(port, _)| to(port).into()).collect();
            let lens = sizes.iter().map(|&(_, len)| &bytes[..len]);
            let batch: Vec<_> =
                peers.iter().zip(lens).map(|(to, payload)| Datagram { to, payload }).collect();
            assert_eq!(run(&batch), expected, "{sizes:?}");
        }
        let peer = to(1).into();
        let many = vec![Datagram { to: &peer, payload: &[0; 1200] }; 64];
        assert_eq!(run(&many), 54, "together they are no longer than one datagram may be");
    }

    #[test]
    fn what_is_sent_as_one_arrives_as_many() {
        let (sender, receiver) = (UdpSocket::bind(to(0)).unwrap(), UdpSocket::bind(to(0)).unwrap());
        let to = &receiver.local_addr().unwrap().into();
        let texts: Vec<Vec<u8>> =
            (0..10_u8).map(|number| vec![number; if number < 9 { 100 } else { 7 }]).collect();
        let batch: Vec<_> = texts.iter().map(|payload| Datagram { to, payload }).collect();
        let fd = OwnedFd::from(sender);
        match send(&fd, &batch).unwrap() {
            Some(sent) => assert_eq!(sent, 10),
            None => return, // this kernel does not cut
        }
        let mut into = [0; 200];
        for text in &texts {
            let (len, _) = receiver.recv_from(&mut into).unwrap();
            assert_eq!(&into[..len], text);
        }
    }
}
