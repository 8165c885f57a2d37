//! A datagram is one message: never sticky, never split, cut where the buffer ends, and possibly empty.

use std::io;

use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendFlags, recv, recvmsg, sendto};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::{net, take, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/datagrams/boundaries.rs",
    text: include_str!("boundaries.rs"),
    experiments: &[D07, D08, D09, D12],
};

const D07: Experiment = Experiment {
    id: "D07",
    core: false,
    title: "UDP keeps boundaries: never sticky, one recv per datagram",
    claim: "Three sends of 4, 0 and 6 bytes give exactly three recvfrom of 4, 0 and 6, even with a large buffer.",
    why: "One recv_from is one message; no framing is needed, but there are no semantics of a stream either.",
    source: "udp(7); UNP 8",
    needs: &[],
    run: one_recv_per_datagram,
    helper: None,
};

fn one_recv_per_datagram(lab: &mut Lab) -> Result<(), Stop> {
    let (sender, receiver) = (net::udp()?, net::udp()?);
    lab.step("Three datagrams");
    for message in [&b"I'm "[..], b"", b"Lyon!!"] {
        send(lab, &sender, &receiver, message)?;
    }

    lab.step("A buffer in which all of them would have room");
    for claimed in [&b"I'm "[..], b"", b"Lyon!!"] {
        wait::readable(&receiver)?;
        let (message, from) = take::datagram(&receiver, 1024)?;
        let message = lab.call("recvfrom(r, 1024)", Ok::<_, io::Error>(message))?;
        lab.expect("the datagram", message, claimed);
        lab.expect("it is the sender's", from == net::address(&sender)?, true);
    }
    let result = lab.call("recvfrom(r, 1024, MSG_DONTWAIT)", take::bytes(&receiver, 1024));
    lab.expect("after three there is no more", &result, "EAGAIN");
    Ok(())
}

/// One datagram from one socket to where another is bound.
fn send(lab: &mut Lab, from: &Socket, to: &Socket, message: &[u8]) -> Result<(), Stop> {
    let sent = sendto(from, message, SendFlags::empty(), &net::address(to)?);
    lab.call(format!("sendto(s, {} bytes, r)", message.len()), sent)?;
    Ok(())
}

const D08: Experiment = Experiment {
    id: "D08",
    core: true,
    title: "A datagram larger than the buffer is cut and the rest is gone",
    claim: "recv(4) of a datagram of 10 bytes returns 4; the other 6 are lost. recvmsg says so by MSG_TRUNC in msg_flags. \
        recv(4, MSG_TRUNC) fills 4 bytes but returns 10.",
    why: "recv_from gives no sign of the cut: use a buffer of 65535 bytes, or one a byte larger than your maximum, and treat \
        \"full\" as an error.",
    source: "recv(2) MSG_TRUNC; udp(7)",
    needs: &[],
    run: cut_datagrams,
    helper: None,
};

fn cut_datagrams(lab: &mut Lab) -> Result<(), Stop> {
    let (sender, receiver) = (net::udp()?, net::udp()?);
    lab.step("recv with a buffer that is too small");
    arrived(lab, &sender, &receiver)?;
    let first = lab.call("recv(r, 4)", take::bytes(&receiver, 4))?;
    lab.expect("what is received", first, b"0123");
    let result = lab.call("recv(r, 16, MSG_DONTWAIT)", take::bytes(&receiver, 16));
    lab.expect("the rest", &result, "EAGAIN");

    lab.step("recvmsg, which tells");
    arrived(lab, &sender, &receiver)?;
    let mut buffer = [0; 4];
    let mut control = RecvAncillaryBuffer::default();
    let parts = &mut [io::IoSliceMut::new(&mut buffer)];
    let message = recvmsg(&receiver, parts, &mut control, RecvFlags::DONTWAIT)?;
    lab.call("recvmsg(r, 4)", Ok::<_, io::Error>(message.bytes))?;
    lab.expect("bytes received", message.bytes, 4usize);
    lab.expect("MSG_TRUNC in msg_flags", message.flags.contains(ReturnFlags::TRUNC), true);

    lab.step("recv with the flag MSG_TRUNC, which returns the length of the whole");
    arrived(lab, &sender, &receiver)?;
    let mut buffer = [0; 4];
    let (filled, returned) = recv(&receiver, &mut buffer, RecvFlags::DONTWAIT | RecvFlags::TRUNC)?;
    lab.call("recv(r, 4, MSG_TRUNC)", Ok::<_, io::Error>(returned))?;
    lab.expect("bytes in the buffer", filled, 4usize);
    lab.expect("the count that recv returns", returned, 10usize);
    Ok(())
}

/// Ten bytes that wait to be received.
fn arrived(lab: &mut Lab, sender: &Socket, receiver: &Socket) -> Result<(), Stop> {
    send(lab, sender, receiver, b"0123456789")?;
    Ok(wait::readable(receiver)?)
}

const D09: Experiment = Experiment {
    id: "D09",
    core: true,
    title: "An empty datagram is not the end",
    claim: "sendto of no bytes arrives: the socket is readable, recvfrom returns 0 bytes and the sender's address, then EAGAIN; \
        the socket lives on. UDP never has an end, even if the sender closes.",
    why: "Ok(0) means \"closed\" for streams and \"empty message\" for datagrams: the two handlers must not share the check.",
    source: "recv(2); UNP 8.4",
    needs: &[],
    run: empty_datagrams,
    helper: None,
};

fn empty_datagrams(lab: &mut Lab) -> Result<(), Stop> {
    let (sender, receiver) = (net::udp()?, net::udp()?);
    lab.step("A datagram of no bytes");
    send(lab, &sender, &receiver, b"")?;
    wait::readable(&receiver)?;
    let (message, from) = take::datagram(&receiver, 16)?;
    let message = lab.call("recvfrom(r, 16)", Ok::<_, io::Error>(message))?;
    lab.expect("what is received", message, b"");
    lab.expect("it is the sender's", from == net::address(&sender)?, true);
    let result = lab.call("recvfrom(r, 16, MSG_DONTWAIT)", take::bytes(&receiver, 16));
    lab.expect("after it, unlike at the end of a stream", &result, "EAGAIN");

    lab.step("The sender closes");
    drop(sender);
    lab.call("close(s)", Ok::<_, io::Error>(()))?;
    lab.expect("the receiver sees nothing", wait::stays_unreadable(&receiver)?, true);
    let result = lab.call("recvfrom(r, 16, MSG_DONTWAIT)", take::bytes(&receiver, 16));
    lab.expect("a recv", &result, "EAGAIN");

    lab.step("Somebody else sends");
    let other = net::udp()?;
    send(lab, &other, &receiver, b"x")?;
    wait::readable(&receiver)?;
    let message = lab.call("recvfrom(r, 16)", take::bytes(&receiver, 16))?;
    lab.expect("the socket lives on", message, b"x");
    Ok(())
}

const D12: Experiment = Experiment {
    id: "D12",
    core: true,
    title: "Largest UDP datagram: 65507 bytes, else EMSGSIZE",
    claim: "sendto of 65507 bytes works on the loopback and arrives whole; 65508 fails with EMSGSIZE and sends nothing.",
    why: "Over real links anything above about 1472 bytes is fragmented; keep messages small.",
    source: "udp(7) EMSGSIZE; RFC 768: 65535 less 20 of IP and 8 of UDP",
    needs: &[],
    run: the_largest_datagram,
    helper: None,
};

fn the_largest_datagram(lab: &mut Lab) -> Result<(), Stop> {
    const LARGEST: usize = 65_535 - 20 - 8;
    const BUFFER: usize = 200 * 1024;
    let (sender, receiver) = (net::udp()?, net::udp()?);
    sender.set_send_buffer_size(BUFFER)?;
    receiver.set_recv_buffer_size(BUFFER)?;
    lab.step("One byte too many");
    let too_long = vec![b'x'; LARGEST + 1];
    let sent = sendto(&sender, &too_long, SendFlags::empty(), &net::address(&receiver)?);
    let result = lab.call("sendto(s, 65508, r)", sent);
    lab.expect("a datagram of 65508 bytes", &result, "EMSGSIZE");
    lab.expect("nothing arrives", wait::stays_unreadable(&receiver)?, true);

    lab.step("As long as it may be");
    send(lab, &sender, &receiver, &too_long[..LARGEST])?;
    wait::readable(&receiver)?;
    let received = take::bytes(&receiver, LARGEST + 1)?;
    lab.call("recv(r, 65508)", Ok::<_, io::Error>(received.len()))?;
    lab.expect("bytes received", received.len(), LARGEST);
    Ok(())
}
