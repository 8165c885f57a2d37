//! Looking without taking, waiting for more, and being woken later: three options that are less than they seem.

use std::io::Read;
use std::net::TcpStream;

use rustix::event::epoll::EventFlags;
use rustix::io::ioctl_fionread;
use rustix::net::{RecvFlags, SendFlags, sendto};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::python::Python;
use crate::lab::tools::{asleep, hangup, net, receive, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/recv/looking.rs", text: include_str!("looking.rs"), experiments: &[R05, R06, R08] };

const R05: Experiment = Experiment {
    id: "R05",
    core: true,
    title: "MSG_PEEK and FIONREAD look without consuming",
    claim: "MSG_PEEK returns the same bytes again and again. FIONREAD gives all queued bytes of a TCP socket, but only the FIRST \
        datagram's size of a UDP socket. Neither clears readiness. FIONREAD of 0 is ambiguous: idle, the end, or an empty \
        datagram.",
    why: "Peeking is no progress: with level-triggered events it spins, and with edge-triggered ones the next event needs new \
        data.",
    source: "recv(2) MSG_PEEK; tcp(7) SIOCINQ; udp(7) FIONREAD",
    needs: &[],
    run: looking_is_not_taking,
    helper: None,
};

fn looking_is_not_taking(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    let (level, edge) = (Epoll::new()?, Epoll::new()?);
    level.add(&client, 1, EventFlags::IN)?;
    edge.add(&client, 1, EventFlags::IN | EventFlags::ET)?;
    lab.step("TCP: two sends are in the queue, and both kinds of epoll have said so");
    lab.call("send(s, \"abc\")", server.send(b"abc"))?;
    lab.call("send(s, \"de\")", server.send(b"de"))?;
    wait::queued(&client, 5)?;
    lab.expect("edge-triggered, the first time", mask(&edge.wait()?), "IN");
    for which in ["the first look", "the second"] {
        let peek = receive::bytes(&client, 16, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        let result = lab.call("recv(c, 16, MSG_PEEK)", peek);
        lab.expect(which, &result, b"abcde");
    }
    let queued = lab.call("ioctl(c, FIONREAD)", ioctl_fionread(&client))?;
    lab.expect("FIONREAD counts all that is queued", queued, 5u64);

    lab.step("Nothing was consumed: level-triggered is ready at once, edge-triggered keeps silent until more comes");
    lab.expect("level-triggered", mask(&level.wait()?), "IN");
    lab.expect("edge-triggered", mask(&edge.wait_quietly()?), "nothing");
    lab.call("send(s, \"f\")", server.send(b"f"))?;
    lab.expect("edge-triggered, after new data", mask(&edge.wait()?), "IN");
    first_datagram_only(lab)?;
    three_zeros(lab)
}

fn first_datagram_only(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("UDP: two datagrams are in the queue");
    let (sender, receiver) = (net::udp()?, net::udp()?);
    let to = net::address(&receiver)?;
    lab.call("sendto(u1, \"abc\")", sendto(&sender, b"abc", SendFlags::empty(), &to))?;
    lab.call("sendto(u1, \"fghij\")", sendto(&sender, b"fghij", SendFlags::empty(), &to))?;
    wait::readable(&receiver)?;
    let size = lab.call("ioctl(u2, FIONREAD)", ioctl_fionread(&receiver))?;
    lab.expect("FIONREAD knows the first one only", size, 3u64);
    let first = lab.call("recv(u2, 16)", receive::bytes(&receiver, 16, RecvFlags::empty()))?;
    lab.expect("the first datagram", first, b"abc");
    wait::readable(&receiver)?;
    let size = lab.call("ioctl(u2, FIONREAD)", ioctl_fionread(&receiver))?;
    lab.expect("then the second", size, 5u64);
    Ok(())
}

fn three_zeros(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("FIONREAD is 0, for three reasons that a read tells apart");
    let (client, server) = net::pair()?;
    zero_then(lab, "an idle connection", &client, "EAGAIN")?;
    drop(server);
    wait::readable(&client)?;
    zero_then(lab, "the end of a stream", &client, "0")?;
    let (sender, receiver) = (net::udp()?, net::udp()?);
    let empty = sendto(&sender, b"", SendFlags::empty(), &net::address(&receiver)?);
    lab.call("sendto(u1, \"\")", empty)?;
    wait::readable(&receiver)?;
    zero_then(lab, "an empty datagram", &receiver, "0")?;
    zero_then(lab, "behind it", &receiver, "EAGAIN")
}

fn zero_then(lab: &mut Lab, what: &str, socket: &Socket, claimed: &str) -> Result<(), Stop> {
    let size = lab.call("ioctl(FIONREAD)", ioctl_fionread(socket))?;
    lab.expect(format!("{what}: FIONREAD"), size, 0u64);
    let result = lab.call("recv(64)", receive::count(socket));
    lab.expect(format!("{what}: recv"), &result, claimed);
    Ok(())
}

const R06: Experiment = Experiment {
    id: "R06",
    core: true,
    title: "MSG_WAITALL does not wait on a non-blocking socket",
    claim: "With O_NONBLOCK or MSG_DONTWAIT, recv(10, MSG_WAITALL) returns 4 when 4 bytes are queued, and EAGAIN when none is. On \
        a blocking socket it waits for all 10, but returns fewer at the end of the stream.",
    why: "There is no \"read exactly n\" in an event loop: keep a buffer per connection and a decoder's state. Rust's read_exact \
        on a non-blocking stream loses the bytes it has read when it meets WouldBlock.",
    source: "recv(2) MSG_WAITALL; Rust io::Read::read_exact",
    needs: &[],
    run: waitall_needs_a_blocking_socket,
    helper: None,
};

fn waitall_needs_a_blocking_socket(lab: &mut Lab) -> Result<(), Stop> {
    let ten = |socket: &Socket, flags| receive::bytes(socket, 10, RecvFlags::WAITALL | flags);
    lab.step("MSG_DONTWAIT on a blocking socket");
    let (client, server) = net::pair()?;
    let result = lab.call("recv(c, 10, MSG_WAITALL|MSG_DONTWAIT)", ten(&client, RecvFlags::DONTWAIT));
    lab.expect("nothing is queued", &result, "EAGAIN");
    give(lab, &server, &client)?;
    let result = lab.call("recv(c, 10, MSG_WAITALL|MSG_DONTWAIT)", ten(&client, RecvFlags::DONTWAIT));
    lab.expect("4 bytes are queued", &result, b"abcd");

    lab.step("A blocking socket: it waits for all ten");
    give(lab, &server, &client)?;
    let copy = client.try_clone()?;
    let mut reader = asleep::start(move || ten(&copy, RecvFlags::empty()))?;
    lab.expect("recv is asleep with 4 of 10", reader.stays_asleep()?, true);
    lab.call("send(s, \"efghij\")", server.send(b"efghij"))?;
    let woken = lab.call("recv(c, 10, MSG_WAITALL)", reader.woken()?)?;
    lab.expect("all ten", woken, b"abcdefghij");

    lab.step("A blocking socket whose stream ends after four");
    give(lab, &server, &client)?;
    lab.call("close(s)", hangup::close(server))?;
    let reader = asleep::start(move || ten(&client, RecvFlags::empty()))?;
    let short = lab.call("recv(c, 10, MSG_WAITALL)", reader.woken()?)?;
    lab.expect("at the end of the stream", short, b"abcd");
    neither_does_read_exact(lab)
}

fn neither_does_read_exact(lab: &mut Lab) -> Result<(), Stop> {
    let ten = |socket: &Socket| receive::bytes(socket, 10, RecvFlags::WAITALL);
    let (client, server) = net::pair()?;
    lab.step("O_NONBLOCK; and read_exact, which is made for the other kind");
    set_nonblocking(&client, true)?;
    let result = lab.call("recv(c, 10, MSG_WAITALL)", ten(&client));
    lab.expect("nothing is queued", &result, "EAGAIN");
    give(lab, &server, &client)?;
    let result = lab.call("recv(c, 10, MSG_WAITALL)", ten(&client));
    lab.expect("4 bytes are queued", &result, b"abcd");
    give(lab, &server, &client)?;
    let mut stream = TcpStream::from(client.try_clone()?);
    let result = lab.call("TcpStream::read_exact(10 bytes)", stream.read_exact(&mut [0; 10]));
    lab.expect("read_exact with 4 of 10", &result, "EAGAIN");
    lab.expect("bytes it left in the queue: the 4 are lost", ioctl_fionread(&client)?, 0u64);
    Ok(())
}

fn give(lab: &mut Lab, from: &Socket, to: &Socket) -> Result<(), Stop> {
    lab.call("send(s, \"abcd\")", from.send(b"abcd"))?;
    Ok(wait::queued(to, 4)?)
}

const R08: Experiment = Experiment {
    id: "R08",
    core: true,
    title: "SO_RCVLOWAT delays readiness, not recv",
    claim: "With SO_RCVLOWAT of 10, poll and epoll do not report a TCP socket readable at 9 bytes, do at 10, and do at once at a \
        FIN. A non-blocking recv at 9 bytes returns the 9 all the same.",
    why: "It lets the kernel hold back wake-ups until a whole header is there. It is a hint and no more: the code must cope with \
        fewer bytes, because a FIN overrides it.",
    source: "socket(7) SO_RCVLOWAT: select, poll and epoll honour it since Linux 2.6.28",
    needs: &[Need::Python],
    run: lowat_delays_the_event,
    helper: None,
};

fn lowat_delays_the_event(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    let epoll = Epoll::new()?;
    epoll.add(&client, 1, EventFlags::IN)?;
    let mut python = Python::with(&client)?;
    let option = "s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 10)";
    let set = lab.call("setsockopt(c, SO_RCVLOWAT, 10), made by Python", python.ask(option))?;
    lab.expect("the option is set", set, "None");

    lab.step("Nine bytes");
    lab.call("send(s, 9 bytes)", server.send(b"123456789"))?;
    wait::queued(&client, 9)?;
    lab.expect("epoll at 9 bytes", mask(&epoll.wait_quietly()?), "nothing");
    lab.expect("poll keeps silent at 9 bytes", wait::stays_unreadable(&client)?, true);
    let result = lab.call("recv(c, 64)", receive::bytes(&client, 64, RecvFlags::DONTWAIT));
    lab.expect("a non-blocking recv at 9 bytes", &result, b"123456789");

    lab.step("Nine, and then one more");
    lab.call("send(s, 9 bytes)", server.send(b"123456789"))?;
    wait::queued(&client, 9)?;
    lab.expect("epoll at 9 bytes", mask(&epoll.wait_quietly()?), "nothing");
    lab.call("send(s, 1 byte)", server.send(b"0"))?;
    lab.expect("epoll at 10 bytes", mask(&epoll.wait()?), "IN");
    let result = lab.call("recv(c, 64)", receive::bytes(&client, 64, RecvFlags::DONTWAIT));
    lab.expect("all of them", &result, b"1234567890");

    lab.step("Four, and the end");
    lab.call("send(s, 4 bytes)", server.send(b"abcd"))?;
    wait::queued(&client, 4)?;
    lab.expect("epoll at 4 bytes", mask(&epoll.wait_quietly()?), "nothing");
    lab.call("close(s)", hangup::close(server))?;
    hangup::end_arrived(&client)?;
    lab.expect("epoll at 4 bytes and a FIN", mask(&epoll.wait()?), "IN");
    let result = lab.call("recv(c, 64)", receive::bytes(&client, 64, RecvFlags::DONTWAIT));
    lab.expect("fewer than were asked for", &result, b"abcd");
    Ok(())
}
