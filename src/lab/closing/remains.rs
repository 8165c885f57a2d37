//! What is left of a connection when one side has closed, or has vanished.

use std::io;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use rustix::event::epoll::EventFlags;
use socket2::{Socket, TcpKeepalive};

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::ends::Ends;
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::{net, take, time_wait, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/closing/remains.rs", text: include_str!("remains.rs"), experiments: &[X06, X11] };

const X06: Experiment = Experiment {
    id: "X06",
    core: true,
    title: "Who closes first holds TIME_WAIT; who never closes holds CLOSE_WAIT",
    claim: "The side that closes first goes to TIME_WAIT (60 s on Linux), the other one disappears. A peer that ignores its read \
        of 0 stays in CLOSE_WAIT for ever.",
    why: "Let the client close first and the server holds nothing. Growing CLOSE_WAIT counts are always a server bug.",
    source: "RFC 9293 3.6; UNP 2.7; TCP_TIMEWAIT_LEN in include/net/tcp.h",
    needs: &[],
    run: who_closes_first_pays,
    helper: None,
};

fn who_closes_first_pays(lab: &mut Lab) -> Result<(), Stop> {
    let overflows = time_wait::overflows()?;
    lab.step("The server closes first, then the client");
    let (client, server) = net::pair()?;
    let ends = Ends::of(&client, &server)?;
    close(lab, "close(s)", server)?;
    wait::readable(&client)?;
    lab.call("recv(c, 16)", take::bytes(&client, 16))?;
    close(lab, "close(c)", client)?;
    let states = ends.settle("gone", "TIME_WAIT")?;
    time_wait::skip_if_exhausted(overflows)?;
    lab.expect("what remains of c, s", states, "gone, TIME_WAIT");
    let left = time_wait::remaining(ends.server, ends.client)?;
    lab.number("TIME_WAIT ends in, hundredths of a second", left, "TCP_TIMEWAIT_LEN, 60 s");

    lab.step("The client closes first; the server ignores that it has read 0, and closes at last");
    let (client, server) = net::pair()?;
    let ends = Ends::of(&client, &server)?;
    close(lab, "close(c)", client)?;
    wait::readable(&server)?;
    let end = lab.call("recv(s, 16)", take::bytes(&server, 16))?;
    lab.expect("what the server reads", end, b"");
    lab.expect("the states of c, s", ends.settle("FIN_WAIT2", "CLOSE_WAIT")?, "FIN_WAIT2, CLOSE_WAIT");
    let stays = wait::stays_false(|| Ok(ends.states()?.1 != "CLOSE_WAIT"))?;
    lab.expect("it stays in CLOSE_WAIT", stays, true);
    close(lab, "close(s)", server)?;
    let states = ends.settle("TIME_WAIT", "gone")?;
    time_wait::skip_if_exhausted(overflows)?;
    lab.expect("what remains of c, s", states, "TIME_WAIT, gone");
    Ok(())
}

fn close(lab: &mut Lab, call: &str, socket: Socket) -> io::Result<()> {
    drop(socket);
    lab.call(call, Ok::<_, io::Error>(()))
}

const X11: Experiment = Experiment {
    id: "X11",
    core: false,
    title: "A peer that vanishes silently produces no event at all",
    claim: "If the peer disappears without FIN or RST (TCP_REPAIR destroys its socket without a packet), our side stays \
        ESTABLISHED, with no event, and recv gives EAGAIN for ever. The first send succeeds, and the RST it provokes reveals it. \
        SO_KEEPALIVE with short timers finds it without sending data.",
    why: "Readiness never reports silence. A reactor needs idle deadlines (or keep-alive); keep-alive defaults to 2 hours.",
    source: "tcp(7) TCP_KEEPIDLE, tcp_keepalive_time; UNP 7.5; RFC 9293 3.8.4",
    needs: &[Need::PrivateNetwork],
    run: silence_is_no_event,
    helper: None,
};

fn silence_is_no_event(lab: &mut Lab) -> Result<(), Stop> {
    const WATCHED: EventFlags = EventFlags::IN.union(EventFlags::RDHUP);
    lab.step("Two connections, one of them with keep-alive; both servers vanish without a packet");
    let (client, ends) = deserted(lab, "c", None)?;
    let probes = TcpKeepalive::new().with_time(SECOND).with_interval(SECOND).with_retries(1);
    let (guarded, _) = deserted(lab, "c2", Some(probes))?;
    let epoll = Epoll::new()?;
    epoll.add(&client, 1, WATCHED)?;

    lab.step("The client notices nothing");
    lab.expect("events", mask(&epoll.wait_quietly()?), "nothing");
    let result = lab.call("recv(c, 16, MSG_DONTWAIT)", take::bytes(&client, 16));
    lab.expect("an empty recv", &result, "EAGAIN");
    lab.expect("the states of c, s", ends.states()?, "ESTABLISHED, gone");

    lab.step("It sends, and the answer to that is a RST");
    let sent = lab.call("send(c, \"x\")", client.send(b"x"));
    lab.expect("the first send", &sent, 1usize);
    let found = mask(&epoll.wait()?);
    lab.expect("the event has ERR", found.contains(EventFlags::ERR), true);
    let result = lab.call("recv(c, 16, MSG_DONTWAIT)", take::bytes(&client, 16));
    lab.expect("what it reveals", &result, "ECONNRESET");

    lab.step("The other sends nothing; its keep-alive asks after a second, and gets a RST too");
    wait::readable(&guarded)?;
    let result = lab.call("recv(c2, 16, MSG_DONTWAIT)", take::bytes(&guarded, 16));
    lab.expect("what keep-alive reveals", &result, "ECONNRESET");
    Ok(())
}

const SECOND: Duration = Duration::from_secs(1);

/// A client whose server is no more, and does not know it.
fn deserted(lab: &mut Lab, name: &str, probes: Option<TcpKeepalive>) -> Result<(Socket, Ends), Stop> {
    let (client, server) = net::pair()?;
    let ends = Ends::of(&client, &server)?;
    if let Some(probes) = probes {
        let call =
            format!("setsockopt({name}, SO_KEEPALIVE, TCP_KEEPIDLE 1, TCP_KEEPINTVL 1, TCP_KEEPCNT 1)");
        lab.call(call, client.set_tcp_keepalive(&probes))?;
    }
    lab.call("setsockopt(s, TCP_REPAIR, 1)", setsockopt(&server, sockopt::TcpRepair, &1))?;
    drop(server);
    lab.call("close(s)", Ok::<_, io::Error>(()))?;
    Ok((client, ends))
}
