//! What happens to a connection between the handshake and accept(2).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::net::{RecvFlags, recv};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::connecting::{connect, peer};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::python::Python;
use crate::lab::tools::{drain, net, proc_net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/accept/queued.rs",
    text: include_str!("queued.rs"),
    experiments: &[A03, A04, A06, A07],
};

const A03: Experiment = Experiment {
    id: "A03",
    core: true,
    title: "Client reset before accept: Linux accept still succeeds",
    claim: "If the client connects, sends, and resets before accept, Linux accept returns a socket (no ECONNABORTED): getpeername \
        fails ENOTCONN, recv yields the data, then ECONNRESET.",
    why: "peer_addr().unwrap() on a fresh connection panics; use the address returned by accept. Other systems return \
        ECONNABORTED or would block: treat ECONNABORTED as \"continue\". This is why a listener must be non-blocking.",
    source: "accept(2) ECONNABORTED; UNP 5.11, 16.6; differs elsewhere",
    needs: &[],
    run: a_client_that_has_reset,
    helper: None,
};

fn a_client_that_has_reset(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A client connects and sends; nobody accepts");
    let (listener, client) = (net::listener()?, net::socket()?);
    let (here, there) = connect_and_send(lab, &listener, &client)?;

    lab.step("It resets the connection, still before accept");
    lab.call("setsockopt(c, SO_LINGER, {1, 0})", client.set_linger(Some(Duration::ZERO)))?;
    drop(client);
    lab.call("close(c)", Ok::<_, io::Error>(()))?;
    wait::until("no RST came", || Ok(proc_net::state(here, there)? == "gone"))?;

    lab.step("accept gives us a socket, and the address of who it was");
    let accepted = listener.accept();
    let (server, from) =
        lab.call("accept(listener)", accepted.map(|(server, from)| (server, from.as_socket())))?;
    lab.expect("accept's address, the client's", from, there);
    let result = lab.call("getpeername(s)", peer(&server));
    lab.expect("getpeername of a fresh connection", result, "ENOTCONN");

    lab.step("What it had sent is there, and then the reset");
    let mut buffer = [0; 16];
    let result =
        lab.call("recv(s, 16)", recv(&server, &mut buffer, RecvFlags::empty()).map(|(count, _)| count))?;
    lab.expect("the data", &buffer[..result], b"hello");
    for (what, claimed) in [("the next recv", "ECONNRESET"), ("the one after it", "0")] {
        let result =
            lab.call("recv(s, 16)", recv(&server, &mut buffer, RecvFlags::empty()).map(|(count, _)| count));
        lab.expect(what, result, claimed);
    }
    Ok(())
}

/// The listener's address and the client's, once its five bytes wait in the connection that nobody has accepted.
fn connect_and_send(
    lab: &mut Lab,
    listener: &Socket,
    client: &Socket,
) -> io::Result<(SocketAddr, SocketAddr)> {
    let here = net::address(listener)?;
    lab.call("connect(c, listener)", connect(client, here))?;
    lab.call("send(c, \"hello\")", client.send(b"hello"))?;
    let there = net::address(client)?;
    wait::until("the data did not come", || {
        Ok(proc_net::tcp(here, there)?.is_some_and(|row| row.receive_queue == 5))
    })?;
    wait::readable(listener)?;
    Ok((here, there))
}

const A04: Experiment = Experiment {
    id: "A04",
    core: true,
    title: "Client closed before accept",
    claim: "If the client sent data and closed, accept succeeds, recv gives the data then 0; getpeername works.",
    why: "A freshly accepted socket may already be at EOF: with edge triggering try reading right after registering (registration \
        reports current state).",
    source: "accept(2); UNP 5.11",
    needs: &[],
    run: a_client_that_has_closed,
    helper: None,
};

fn a_client_that_has_closed(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A client connects, sends and closes; nobody accepts");
    let (listener, client) = (net::listener()?, net::socket()?);
    let (here, there) = connect_and_send(lab, &listener, &client)?;
    drop(client);
    lab.call("close(c)", Ok::<_, io::Error>(()))?;
    wait::until("no FIN came", || Ok(proc_net::state(here, there)? == "CLOSE_WAIT"))?;

    lab.step("accept gives us a connection that is at its end already");
    let server = lab.call("accept(listener)", listener.accept().map(|(server, _)| server))?;
    let result = lab.call("getpeername(s)", peer(&server));
    lab.expect("its peer", result, there);

    lab.step("Edge-triggered, registration reports what is there: data, and the end");
    let epoll = Epoll::new()?;
    epoll.add(&server, 1, EventFlags::IN | EventFlags::RDHUP | EventFlags::ET)?;
    lab.expect("what epoll reports", mask(&epoll.wait()?), EventFlags::IN | EventFlags::RDHUP);
    let mut buffer = [0; 16];
    let count =
        lab.call("recv(s, 16)", recv(&server, &mut buffer, RecvFlags::empty()).map(|(count, _)| count))?;
    lab.expect("the data", &buffer[..count], b"hello");
    let result =
        lab.call("recv(s, 16)", recv(&server, &mut buffer, RecvFlags::empty()).map(|(count, _)| count));
    lab.expect("the next recv", result, "0");
    lab.expect("what epoll reports from now on", mask(&epoll.wait_quietly()?), "nothing");
    Ok(())
}

const A06: Experiment = Experiment {
    id: "A06",
    core: false,
    title: "Closing a listener resets the connections still in its queue",
    claim: "Clients that were connected but not yet accepted get ECONNRESET when the listener closes; already accepted connections \
        live on.",
    why: "Graceful shutdown: stop advertising, accept until EAGAIN, then close. A SO_REUSEPORT worker that exits kills its queue.",
    source: "tcp_close of a listener (inet_csk_listen_stop); UNP 4.5",
    needs: &[],
    run: a_listener_closes,
    helper: None,
};

fn a_listener_closes(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("One client that is accepted, and one that waits in the queue");
    let listener = net::listener()?;
    let (first, server) = net::pair_of(&listener, net::socket()?)?;
    let second = net::socket()?;
    lab.call("connect(c2, listener)", second.connect(&listener.local_addr()?))?;
    wait::readable(&listener)?;
    lab.expect("what the second could send", second.send(b"hello"), 5usize);

    lab.step("The listener closes");
    let address = net::address(&listener)?;
    drop(listener);
    lab.call("close(listener)", Ok::<_, io::Error>(()))?;
    wait::readable(&second)?;
    let result =
        lab.call("recv(c2, 16)", recv(&second, &mut [0; 16], RecvFlags::empty()).map(|(count, _)| count));
    lab.expect("what the second hears", result, "ECONNRESET");

    lab.step("The first does not notice; whoever comes now is refused");
    lab.call("send(s, \"hello\")", server.send(b"hello"))?;
    lab.expect("recv(c1, 5)", drain::exactly(&first, 5)?, b"hello");
    lab.call("send(c1, \"bye\")", first.send(b"bye"))?;
    lab.expect("recv(s, 3)", drain::exactly(&server, 3)?, b"bye");
    let result = lab.call("connect(c3, listener)", connect(&net::socket()?, address));
    lab.expect("a new client", result, "ECONNREFUSED");
    Ok(())
}

const A07: Experiment = Experiment {
    id: "A07",
    core: false,
    title: "TCP_DEFER_ACCEPT: accept only once data is there",
    claim: "With TCP_DEFER_ACCEPT the client connects, but the listener stays unreadable and accept says EAGAIN until the first \
        data byte arrives.",
    why: "Saves a wake-up per idle connection; but a silent client is invisible to the server's own idle timers, and \
        server-speaks-first protocols (a greeting) would stall.",
    source: "tcp(7) TCP_DEFER_ACCEPT; Linux only, and its timeout rounds to SYN-ACK retransmissions",
    needs: &[Need::Python],
    run: accept_waits_for_data,
    helper: None,
};

fn accept_waits_for_data(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A non-blocking listener that defers");
    let (listener, client) = (net::listener()?, net::socket()?);
    set_nonblocking(&listener, true)?;
    let mut python = Python::with(&listener)?;
    let option = "s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)";
    let result = lab.call("python: s.setsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT, 5)", python.ask(option))?;
    lab.expect("setsockopt", result, "None");
    drop(python);

    lab.step("A client that connects and says nothing");
    let here = net::address(&listener)?;
    lab.call("connect(c, listener)", connect(&client, here))?;
    let there = net::address(&client)?;
    lab.expect("the state, as the client has it", proc_net::state(there, here)?, "ESTABLISHED");
    lab.expect("the listener stays unreadable", wait::stays_unreadable(&listener)?, true);
    let result = lab.call("accept(listener)", listener.accept().map(|(server, _)| server));
    lab.expect("accept", result.map(drop), "EAGAIN");
    lab.expect("the state, as the server has it", proc_net::state(here, there)?, "SYN_RECV");

    lab.step("Its first byte");
    lab.call("send(c, \"x\")", client.send(b"x"))?;
    wait::readable(&listener)?;
    let server = lab.call("accept(listener)", listener.accept().map(|(server, _)| server))?;
    lab.expect("its peer", peer(&server), there);
    lab.expect("recv(s, 1)", drain::exactly(&server, 1)?, b"x");
    Ok(())
}
