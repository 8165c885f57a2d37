//! Kinds of sockets that tutorials list and no server uses.

use std::io;
use std::net::SocketAddr;

use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};
use rustix::thread::CapabilitySet;
use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::capability::without;
use crate::lab::tools::{net, take, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/datagrams/raw.rs", text: include_str!("raw.rs"), experiments: &[D18] };

const D18: Experiment = Experiment {
    id: "D18",
    core: false,
    title: "SOCK_RAW sees the IP header; SOCK_RDM is not there",
    claim: "A raw UDP socket (root or CAP_NET_RAW, else EPERM) receives whole IP packets: 20 bytes of IP header, 8 of UDP header, \
        and the payload, as a COPY (the UDP socket gets its own). socket(AF_INET, SOCK_RDM) fails with ESOCKTNOSUPPORT, and so \
        does SOCK_SEQPACKET over INET where the kernel has no SCTP.",
    why: "Nothing a server should use; it is here because tutorials list it.",
    source: "raw(7); socket(2); sctp(7)",
    needs: &[Need::NetRaw],
    run: kinds_that_no_server_uses,
    helper: None,
};

fn kinds_that_no_server_uses(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A raw socket without CAP_NET_RAW, and with it");
    let raw = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP));
    let result = lab.call("socket(AF_INET, SOCK_RAW, IPPROTO_UDP)", without(CapabilitySet::NET_RAW, raw)?);
    lab.expect("without the capability", &result, "EPERM");
    let raw = lab.call("socket(AF_INET, SOCK_RAW, IPPROTO_UDP)", raw())?;

    lab.step("A UDP datagram of 7 bytes");
    let (sender, receiver) = (net::udp()?, net::udp()?);
    let to = net::address(&receiver)?;
    lab.call("sendto(s, \"payload\", r)", sendto(&sender, b"payload", SendFlags::empty(), &to))?;
    let packet = packet_to(&raw, to)?;
    lab.call("recv(raw, 1024)", Ok::<_, io::Error>(packet.len()))?;
    lab.expect("bytes that the raw socket receives", packet.len(), 20usize + 8 + 7);
    lab.expect("the first: version 4, a header of 5 words", format!("{:#x}", packet[0]), "0x45");
    lab.expect("behind the headers", &packet[28..], b"payload");
    wait::readable(&receiver)?;
    let own = lab.call("recv(r, 1024)", take::bytes(&receiver, 1024))?;
    lab.expect("the UDP socket receives its own", own, b"payload");

    lab.step("Kinds that the Internet family has not");
    let result = lab.call("socket(AF_INET, SOCK_RDM)", socket(AddressFamily::INET, SocketType::RDM, None));
    lab.expect("SOCK_RDM", &result, "ESOCKTNOSUPPORT");
    let result = socket(AddressFamily::INET, SocketType::SEQPACKET, None);
    let result = lab.call("socket(AF_INET, SOCK_SEQPACKET)", result);
    match &result {
        Ok(_) => lab.number("SOCK_SEQPACKET", "a socket", "whether the kernel has SCTP"),
        Err(_) => lab.expect("SOCK_SEQPACKET, without SCTP", &result, "ESOCKTNOSUPPORT"),
    }
    Ok(())
}

/// The next packet to this port; a raw socket sees those of others too.
fn packet_to(raw: &Socket, to: SocketAddr) -> io::Result<Vec<u8>> {
    loop {
        wait::readable(raw)?;
        let packet = take::bytes(raw, 1024)?;
        if packet.get(22..24) == Some(&to.port().to_be_bytes()[..]) {
            return Ok(packet);
        }
    }
}
