//! What a call of epoll_ctl does, and which it refuses.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use rustix::event::epoll::EventFlags;
use rustix::io::ioctl_fionread;
use socket2::{Domain, Socket, Type};

use super::{event, silence};
use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::epoll::Epoll;
use crate::lab::tools::select::{poll_now, select_now};
use crate::lab::tools::wait::DEADLINE;
use crate::lab::tools::{arrival, net, proc_net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/readiness/registering.rs",
    text: include_str!("registering.rs"),
    experiments: &[E08, E09, E12, E16],
};

const E08: Experiment = Experiment {
    id: "E08",
    core: true,
    title: "EPOLL_CTL_MOD makes an edge anew",
    claim: "epoll_ctl(MOD), even with the same mask, looks at the state again: a socket with unread data is reported once more under \
        edge triggering.",
    why: "mio's reregister() is this: a supported way to say \"tell me again\", used for fairness (read a bounded amount, then \
        reregister) instead of draining in one go.",
    source: "epoll_ctl(2); ep_modify() polls the file",
    needs: &[],
    run: the_same_mask_again,
    helper: None,
};

fn the_same_mask_again(lab: &mut Lab) -> Result<(), Stop> {
    let edge = EventFlags::IN | EventFlags::ET;
    let (client, server) = net::pair()?;
    let epoll = Epoll::new()?;
    lab.step("Data that was reported, and that nobody reads");
    lab.call("epoll_ctl(e, ADD, s, IN|ET)", epoll.add(&server, 1, edge))?;
    lab.call("send(c, \"abc\")", client.send(b"abc"))?;
    wait::queued(&server, 3)?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event of the data", mask, "IN");
    let mask = silence(lab, &epoll)?;
    lab.expect("a second one", mask, "nothing");

    lab.step("The same mask once more, twice");
    for nth in ["first", "second"] {
        lab.call("epoll_ctl(e, MOD, s, IN|ET)", epoll.modify(&server, 1, edge))?;
        let mask = event(lab, &epoll)?;
        lab.expect(format!("the event after the {nth} MOD"), mask, "IN");
    }
    let mask = silence(lab, &epoll)?;
    lab.expect("without a third MOD", mask, "nothing");

    lab.step("The same with mio's reregister");
    let (mut poll, mut events) = (mio::Poll::new()?, mio::Events::with_capacity(8));
    let number = server.as_raw_fd();
    let mut source = SourceFd(&number);
    lab.call("mio: register(s)", poll.registry().register(&mut source, Token(0), Interest::READABLE))?;
    for call in ["mio: reregister(s), after the first event", "mio: reregister(s), after the second"] {
        poll.poll(&mut events, Some(DEADLINE))?;
        lab.expect("events of mio's poll", events.iter().count(), 1usize);
        lab.call(call, poll.registry().reregister(&mut source, Token(0), Interest::READABLE))?;
    }
    lab.expect("bytes that are still unread", ioctl_fionread(&server)?, 3u64);
    Ok(())
}

const E09: Experiment = Experiment {
    id: "E09",
    core: false,
    title: "EPOLLONESHOT: one event, then silence, even about an end, until MOD",
    claim: "After one event the registration is disabled: neither new data nor a RST is reported until EPOLL_CTL_MOD, which \
        reports the present state.",
    why: "For handing a descriptor to another thread. mio does not offer it; a reactor with a single thread does not need it.",
    source: "epoll_ctl(2) EPOLLONESHOT",
    needs: &[],
    run: one_event_and_silence,
    helper: None,
};

fn one_event_and_silence(lab: &mut Lab) -> Result<(), Stop> {
    let once = EventFlags::IN | EventFlags::RDHUP | EventFlags::ONESHOT;
    let (client, server) = net::pair()?;
    let epoll = Epoll::new()?;
    lab.step("The one event");
    lab.call("epoll_ctl(e, ADD, s, IN|RDHUP|ONESHOT)", epoll.add(&server, 1, once))?;
    lab.call("send(c, \"abc\")", client.send(b"abc"))?;
    wait::queued(&server, 3)?;
    let mask = event(lab, &epoll)?;
    lab.expect("the one event", mask, "IN");

    lab.step("New data, and then a RST");
    lab.call("send(c, \"def\")", client.send(b"def"))?;
    wait::queued(&server, 6)?;
    let mask = silence(lab, &epoll)?;
    lab.expect("what is said about new data", mask, "nothing");
    lab.call("setsockopt(c, SO_LINGER, {1, 0})", client.set_linger(Some(Duration::ZERO)))?;
    drop(client);
    lab.call("close(c)", Ok::<_, io::Error>(()))?;
    arrival::hangup(&server)?;
    let mask = silence(lab, &epoll)?;
    lab.expect("what is said about the RST", mask, "nothing");

    lab.step("MOD arms it again");
    lab.call("epoll_ctl(e, MOD, s, IN|RDHUP|ONESHOT)", epoll.modify(&server, 1, once))?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event after MOD", mask, "IN|ERR|HUP|RDHUP");
    let mask = silence(lab, &epoll)?;
    lab.expect("and after that", mask, "nothing");
    Ok(())
}

const E12: Experiment = Experiment {
    id: "E12",
    core: false,
    title: "What epoll_ctl refuses",
    claim: "ADD twice: EEXIST. MOD or DEL of what is not registered: ENOENT. A closed number: EBADF. A regular file or a directory: \
        EPERM; select and poll accept them, and they are always \"ready\".",
    why: "mio hands these on: AlreadyExists when registered twice, NotFound when deregistered twice, PermissionDenied. Files on a disk \
        cannot be in the reactor.",
    source: "epoll_ctl(2) ERRORS; select(2)",
    needs: &[],
    run: what_is_refused,
    helper: None,
};

fn what_is_refused(lab: &mut Lab) -> Result<(), Stop> {
    let (_client, server) = net::pair()?;
    let epoll = Epoll::new()?;
    let refused = |lab: &mut Lab, call: &str, result: io::Result<()>, name: &str, kind: &str| {
        let result = lab.call(call, result);
        lab.expect(call, &result, name);
        let observed = result.err().map(|error| format!("{:?}", error.kind()));
        lab.expect("its ErrorKind in Rust", observed, kind);
    };
    lab.step("A socket that is not registered, and one that is already");
    refused(lab, "epoll_ctl(e, MOD, s)", epoll.modify(&server, 1, EventFlags::IN), "ENOENT", "NotFound");
    refused(lab, "epoll_ctl(e, DEL, s)", epoll.delete(&server), "ENOENT", "NotFound");
    lab.call("epoll_ctl(e, ADD, s)", epoll.add(&server, 1, EventFlags::IN))?;
    let again = epoll.add(&server, 2, EventFlags::OUT);
    refused(lab, "epoll_ctl(e, ADD, s) again", again, "EEXIST", "AlreadyExists");

    lab.step("A number that is closed");
    let (closed, _other) = net::pair()?;
    let closed = OwnedFd::from(closed);
    lab.call("close(c)", nix::unistd::close(closed.as_raw_fd()))?;
    let result = lab.call("epoll_ctl(e, ADD, c)", epoll.add(&closed, 3, EventFlags::IN));
    // The number is nobody's: it must not be closed again.
    let _ = closed.into_raw_fd();
    lab.expect("epoll_ctl of a closed number", &result, "EBADF");

    lab.step("A regular file and a directory");
    for (what, path) in [("file", "/proc/self/exe"), ("directory", "/")] {
        let file = File::open(path)?;
        let call = format!("epoll_ctl(e, ADD, {what})");
        refused(lab, &call, epoll.add(&file, 4, EventFlags::IN), "EPERM", "PermissionDenied");
        lab.expect(format!("select: the {what} is readable, writable"), select_now(&file)?, (true, true));
        let asked = EventFlags::IN | EventFlags::OUT;
        lab.expect(format!("poll: the {what}"), poll_now(&file, asked)?, "IN|OUT");
    }
    Ok(())
}

const E16: Experiment = Experiment {
    id: "E16",
    core: false,
    title: "A TCP socket that is registered before connect is OUT|HUP at once",
    claim: "A socket that was registered (edge-triggered) before connect reports OUT|HUP at once; when connect has succeeded it \
        reports OUT. In SYN_SENT: nothing.",
    why: "Taking that first event for \"connected\" (OUT) or for \"dead\" (HUP) is wrong both ways. Connect first, then register, as \
        mio's interface has it.",
    source: "poll(2); tcp_poll() of a socket in TCP_CLOSE",
    needs: &[],
    run: registered_before_connect,
    helper: None,
};

fn registered_before_connect(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A new socket, registered before it is connected");
    let listener = new_socket()?;
    listener.bind(&net::anywhere().into())?;
    lab.call("listen(listener, 0): room for one", listener.listen(0))?;
    let (client, epoll) = (new_socket()?, Epoll::new()?);
    lab.call("epoll_ctl(e, ADD, c, IN|OUT|ET)", epoll.add(&client, 1, IN_OUT_EDGE))?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event before connect", mask, "OUT|HUP");

    lab.step("It connects");
    connect(lab, "c", &client, &listener)?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event of the connection", mask, "OUT");
    let mask = silence(lab, &epoll)?;
    lab.expect("another", mask, "nothing");
    wait::readable(&listener)?;

    lab.step("A second one, which nobody answers: the listener has no room left");
    let (client, epoll) = (new_socket()?, Epoll::new()?);
    lab.call("epoll_ctl(e, ADD, c2, IN|OUT|ET)", epoll.add(&client, 1, IN_OUT_EDGE))?;
    let mask = event(lab, &epoll)?;
    lab.expect("the event before connect", mask, "OUT|HUP");
    connect(lab, "c2", &client, &listener)?;
    let mask = silence(lab, &epoll)?;
    lab.expect("the event of a connection that is not yet one", mask, "nothing");
    let state = proc_net::state(net::address(&client)?, net::address(&listener)?)?;
    lab.expect("its state", state, "SYN_SENT");
    Ok(())
}

const IN_OUT_EDGE: EventFlags = EventFlags::IN.union(EventFlags::OUT).union(EventFlags::ET);

fn new_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    set_nonblocking(socket.as_fd(), true)?;
    Ok(socket)
}

fn connect(lab: &mut Lab, name: &str, client: &Socket, listener: &Socket) -> Result<(), Stop> {
    let result = lab.call(format!("connect({name})"), client.connect(&listener.local_addr()?));
    lab.expect("a connect that does not wait", &result, "EINPROGRESS");
    Ok(())
}
