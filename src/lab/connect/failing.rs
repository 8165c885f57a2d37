//! Connections that are not made: how one hears of it, and what is left.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;

use rustix::event::epoll::EventFlags;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::show::error_name;
use crate::lab::tools::connecting::{FullListener, client, closed_port, connect, peer, so_error};
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::folder::Folder;
use crate::lab::tools::python::Python;
use crate::lab::tools::{net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/connect/failing.rs",
    text: include_str!("failing.rs"),
    experiments: &[C03, C04, C05, C07],
};

const C03: Experiment = Experiment {
    id: "C03",
    core: true,
    title: "Refused: EINPROGRESS, then an event with ERR|HUP, and SO_ERROR=ECONNREFUSED once",
    claim: "A non-blocking connect to a closed port returns EINPROGRESS; epoll reports IN|OUT|RDHUP|ERR|HUP; SO_ERROR gives \
        ECONNREFUSED and clears itself. Writability alone would look like success. select marks it readable AND writable.",
    why: "The commonest connect bug: taking EPOLLOUT as \"connected\". Check take_error() on the first writable event.",
    source: "connect(2); socket(7) SO_ERROR; UNP 16.3",
    needs: &[Need::Python],
    run: a_connect_that_is_refused,
    helper: None,
};

fn a_connect_that_is_refused(lab: &mut Lab) -> Result<(), Stop> {
    let everything = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP;
    lab.step("Nobody listens where we connect to");
    let (_bound, closed) = closed_port()?;
    let (client, epoll) = (client()?, Epoll::new()?);
    let result = lab.call("connect(c, closed port)", connect(&client, closed));
    lab.expect("a connect that will be refused", result, "EINPROGRESS");
    epoll.add(&client, 1, everything)?;
    lab.expect("what epoll reports", mask(&epoll.wait()?), everything | EventFlags::ERR | EventFlags::HUP);

    lab.step("select has no word for errors: readable and writable, as a connection with data would be");
    let mut python = Python::with(&client)?;
    let ready = lab.call(
        "python: which of 3 sets select returns s in",
        python.ask("[len(ready) for ready in select.select([s], [s], [s], 0)]"),
    )?;
    lab.expect("readable, writable, exceptional", ready, "[1, 1, 0]");
    drop(python);

    lab.step("SO_ERROR has the reason, for the first who asks");
    lab.expect("SO_ERROR", so_error(&client)?, "ECONNREFUSED");
    lab.expect("SO_ERROR, asked again", so_error(&client)?, "0");
    lab.expect("what epoll reports now", mask(&epoll.now()?), everything | EventFlags::HUP);
    lab.expect("its peer", peer(&client), "ENOTCONN");
    Ok(())
}

const C04: Experiment = Experiment {
    id: "C04",
    core: false,
    title: "Reusing a socket after a failed connect",
    claim: "Linux allows connect again on the same descriptor after a refusal: if SO_ERROR was not read the next connect returns \
        ECONNREFUSED (the old error); if it was read, ECONNABORTED; the one after that starts afresh (EINPROGRESS).",
    why: "Portable rule: close and make a new socket for each attempt. A retry loop that reuses the descriptor sees phantom \
        errors.",
    source: "UNP 5.8 / 16.3 (POSIX: state unspecified); inet_stream_connect(); Linux behaviour, do not rely on it",
    needs: &[],
    run: a_socket_is_used_again,
    helper: None,
};

fn a_socket_is_used_again(lab: &mut Lab) -> Result<(), Stop> {
    let (_bound, closed) = closed_port()?;
    let (listener, client) = (net::listener()?, client()?);
    lab.step("A connect is refused, and nobody asks why");
    let result = lab.call("connect(c, closed port)", connect(&client, closed));
    lab.expect("the first connect", result, "EINPROGRESS");
    wait::readable(&client)?;

    lab.step("Connecting again, even to a listener, hands us the old error");
    let to = net::address(&listener)?;
    let result = lab.call("connect(c, listener)", connect(&client, to));
    lab.expect("the next connect, SO_ERROR unread", result, "ECONNREFUSED");

    lab.step("The one after that starts afresh: let it be refused too, and ask why this time");
    let result = lab.call("connect(c, closed port)", connect(&client, closed));
    lab.expect("the connect after the old error", result, "EINPROGRESS");
    wait::readable(&client)?;
    lab.expect("SO_ERROR", so_error(&client)?, "ECONNREFUSED");
    let result = lab.call("connect(c, listener)", connect(&client, to));
    lab.expect("the next connect, SO_ERROR read", result, "ECONNABORTED");

    lab.step("And afresh once more: it can even succeed");
    let result = lab.call("connect(c, listener)", connect(&client, to));
    lab.expect("the connect after that", result, "EINPROGRESS");
    wait::writable(&client)?;
    lab.expect("SO_ERROR", so_error(&client)?, "0");
    lab.expect("its peer", peer(&client), to);
    Ok(())
}

const C05: Experiment = Experiment {
    id: "C05",
    core: false,
    title: "connect_ex return codes",
    claim: "Python's connect_ex returns the errno instead of raising: 0, EINPROGRESS, ECONNREFUSED, EALREADY, EISCONN, EAGAIN for \
        a Python timeout, ENOENT/ECONNREFUSED for Unix paths, ENETUNREACH for TCP to broadcast.",
    why: "Rust has one channel, io::Result; map codes to ErrorKind (ConnectionRefused, WouldBlock, NotFound, \
        NetworkUnreachable...) and test raw_os_error() for those without a stable kind: EINPROGRESS, EALREADY, EISCONN, EMFILE, \
        EMSGSIZE.",
    source: "Python socket.connect_ex; connect(2)",
    needs: &[Need::Python],
    run: every_code_of_connect_ex,
    helper: None,
};

fn every_code_of_connect_ex(lab: &mut Lab) -> Result<(), Stop> {
    let (listener, full, (_bound, closed)) = (net::listener()?, FullListener::new()?, closed_port()?);
    let to = net::address(&listener)?;
    let mut python = Python::with(&listener)?;

    lab.step("TCP: done, refused, under way, under way already, there already, too late, forbidden");
    let tcp = |to: SocketAddr| format!("('{}', {})", to.ip(), to.port());
    let broadcast = SocketAddr::from(([127, 255, 255, 255], to.port()));
    for (what, socket, address, claimed) in [
        ("a blocking connect", "a = socket.socket()", tcp(to), "0"),
        ("a blocking connect to a closed port", "a = socket.socket()", tcp(closed), "ECONNREFUSED"),
        (
            "a non-blocking connect",
            "a = socket.socket(); a.setblocking(False)",
            tcp(full.address()?),
            "EINPROGRESS",
        ),
        ("the same again, while pending", "a", tcp(full.address()?), "EALREADY"),
        (
            "a connect of a connected socket",
            "a = socket.create_connection(s.getsockname())",
            tcp(to),
            "EISCONN",
        ),
        (
            "a connect with settimeout(0.05)",
            "a = socket.socket(); a.settimeout(0.05)",
            tcp(full.address()?),
            "EAGAIN",
        ),
        ("a TCP connect to a broadcast address", "a = socket.socket()", tcp(broadcast), "ENETUNREACH"),
    ] {
        python.ask(socket)?;
        connect_ex(lab, &mut python, what, &address, claimed)?;
    }

    unix_codes(lab, &mut python)?;
    kinds_of_rust(lab, [(closed, "ConnectionRefused"), (broadcast, "NetworkUnreachable")])
}

fn unix_codes(lab: &mut Lab, python: &mut Python) -> Result<(), Stop> {
    lab.step("Unix: no such path, and a path whose server is gone");
    let folder = Folder::new()?;
    drop(UnixListener::bind(folder.path("stale"))?);
    for (name, claimed) in [("nothing", "ENOENT"), ("stale", "ECONNREFUSED")] {
        python.ask("a = socket.socket(socket.AF_UNIX)")?;
        let address = format!("'{}'", folder.path(name).display());
        connect_ex(lab, python, &format!("a Unix connect to the path {name}"), &address, claimed)?;
    }
    Ok(())
}

/// Calls it on Python's socket `a`.
fn connect_ex(lab: &mut Lab, python: &mut Python, what: &str, to: &str, claimed: &str) -> Result<(), Stop> {
    let code: i32 = python.ask(&format!("a.connect_ex({to})"))?.parse().map_err(io::Error::other)?;
    let name = if code == 0 { "0".to_owned() } else { error_name(&io::Error::from_raw_os_error(code)) };
    lab.expect(format!("connect_ex: {what}"), name, claimed);
    lab.number("its number", code, "the architecture; Python's errno module has the names");
    Ok(())
}

fn kinds_of_rust(lab: &mut Lab, kinds: [(SocketAddr, &str); 2]) -> Result<(), Stop> {
    lab.step("The same errors in Rust have kinds, where a stable one exists");
    for (to, claimed) in kinds {
        let error = lab.call("connect(c, ...)", connect(&net::socket()?, to)).err();
        lab.expect("its kind", error.map(|error| format!("{:?}", error.kind())), claimed);
    }
    let full = FullListener::new()?;
    let error = lab.call("connect(c, full listener)", connect(&client()?, full.address()?)).err();
    let name = error.as_ref().map(error_name);
    lab.expect("what raw_os_error() tells of a pending connect", name, "EINPROGRESS");
    let kind = error.map(|error| format!("{:?}", error.kind()));
    lab.number("the kind of EINPROGRESS", kind, "the standard library's version");
    Ok(())
}

const C07: Experiment = Experiment {
    id: "C07",
    core: true,
    title: "Unix connect with a full backlog: EAGAIN, not EINPROGRESS",
    claim: "A non-blocking AF_UNIX stream connect succeeds immediately or fails with EAGAIN when the queue is full; no later event \
        will come because nothing is pending (what epoll says of the socket at once, OUT|HUP, is only that it is unconnected). \
        The queue holds backlog+1.",
    why: "EAGAIN from connect means \"try again later yourself\" (timer), EINPROGRESS means \"you will be told\". Do not register \
        and wait.",
    source: "connect(2) EAGAIN \"For nonblocking UNIX domain sockets\"; unix(7)",
    needs: &[],
    run: a_unix_queue_is_full,
    helper: None,
};

fn a_unix_queue_is_full(lab: &mut Lab) -> Result<(), Stop> {
    const BACKLOG: i32 = 3;
    let unix = || Socket::new(Domain::UNIX, Type::STREAM, None);
    lab.step(
        "A Unix listener with a backlog of 3 that does not accept, and non-blocking clients until one fails",
    );
    let listener = unix()?;
    listener.bind(&SockAddr::unix("")?)?;
    lab.call("listen(listener, 3)", listener.listen(BACKLOG))?;
    let mut connected = Vec::new();
    let (refused, result) = loop {
        let client = unix()?;
        client.set_nonblocking(true)?;
        match client.connect(&listener.local_addr()?) {
            Ok(()) if connected.len() < 100 => connected.push(client),
            result => break (client, result),
        }
    };
    lab.expect("connections made at once", connected.len(), 4);
    let result = lab.call("connect(c5, listener)", result);
    lab.expect("the next connect", result, "EAGAIN");

    lab.step("epoll on that client reports at once what every unconnected socket is");
    let epoll = Epoll::new()?;
    epoll.add(&refused, 1, EventFlags::IN | EventFlags::OUT | EventFlags::ET)?;
    lab.expect("at registration", mask(&epoll.wait()?), EventFlags::OUT | EventFlags::HUP);

    lab.step("There is room again, and nobody tells the client");
    lab.call("accept(listener)", listener.accept().map(|(server, _)| server))?;
    lab.expect("what epoll reports while we look", mask(&epoll.wait_quietly()?), "nothing");
    let result = lab.call("connect(c5, listener)", refused.connect(&listener.local_addr()?));
    lab.expect("connect, when it tries by itself", result, "ok");
    Ok(())
}
