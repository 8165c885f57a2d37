//! Bounds: how many events a wait returns, and which descriptors select can watch.

use rustix::event::epoll::EventFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::epoll::{Epoll, mask};
use crate::lab::tools::python::Python;
use crate::lab::tools::select::poll_now;
use crate::lab::tools::{net, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/readiness/limits.rs", text: include_str!("limits.rs"), experiments: &[E19, E20] };

const E19: Experiment = Experiment {
    id: "E19",
    core: false,
    title: "maxevents, and fairness",
    claim: "With 4 ready sockets and maxevents = 2, successive level-triggered waits go round: {1,2}, {3,4}, {1,2}. Edge-triggered \
        events that one wait does not deliver are delivered by the next, and not lost.",
    why: "Events::with_capacity bounds a batch, not the number of connections; a small capacity loses nothing.",
    source: "epoll_wait(2) NOTES: round robin",
    needs: &[],
    run: two_events_at_a_time,
    helper: None,
};

fn two_events_at_a_time(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Four connections, each with a byte that nobody reads, registered in their order");
    let (level, edge) = (Epoll::new()?, Epoll::new()?);
    let pairs: Vec<(Socket, Socket)> = (0..4).map(|_| net::pair()).collect::<Result<_, _>>()?;
    for (key, (client, server)) in (1..).zip(&pairs) {
        client.send(b"x")?;
        wait::queued(server, 1)?;
        level.add(server, key, EventFlags::IN)?;
        edge.add(server, key, EventFlags::IN | EventFlags::ET)?;
    }

    lab.step("Level-triggered: the waits go round");
    for claimed in ["1, 2", "3, 4", "1, 2", "3, 4"] {
        let batch = lab.call("epoll_wait(level, maxevents = 2)", two(&level, wait::DEADLINE))?;
        lab.expect("whose events it returned", batch, claimed);
    }

    lab.step("Edge-triggered: what the first wait leaves the second delivers; then there is nothing more");
    for (claimed, time) in [("1, 2", wait::DEADLINE), ("3, 4", wait::DEADLINE), ("nothing", wait::QUIET)] {
        let batch = lab.call("epoll_wait(edge, maxevents = 2)", two(&edge, time))?;
        lab.expect("whose events it returned", batch, claimed);
    }
    Ok(())
}

/// The keys of at most two events, in their order.
fn two(epoll: &Epoll, time: std::time::Duration) -> std::io::Result<String> {
    let keys: Vec<String> = epoll.wait_at_most(time, 2)?.iter().map(|(key, _)| key.to_string()).collect();
    Ok(if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") })
}

const E20: Experiment = Experiment {
    id: "E20",
    core: false,
    title: "select cannot watch descriptors from 1024 on",
    claim: "select with a descriptor of 1024 (FD_SETSIZE) or more fails: Python raises ValueError, C writes where it must not. The \
        limit is that of the C library's fd_set: the kernel's call takes a longer one. poll and epoll do not care.",
    why: "Why select is out for many connections, even before its cost, which grows with each of them.",
    source: "select(2) WARNING",
    needs: &[Need::Python],
    run: a_descriptor_of_1024,
    helper: None,
};

fn a_descriptor_of_1024(lab: &mut Lab) -> Result<(), Stop> {
    const FD_SETSIZE: i32 = 1024;
    lab.step("A readable socket whose number is 1024 or more");
    let most = getrlimit(Resource::Nofile).maximum;
    if most.is_some_and(|most| most < 1100) {
        return Err(Stop::skip("needs a hard limit of 1100 descriptors: ulimit -Hn"));
    }
    let raised = Rlimit { current: Some(1100), maximum: most };
    lab.call("setrlimit(RLIMIT_NOFILE, 1100)", setrlimit(Resource::Nofile, raised))?;
    let (client, server) = net::pair()?;
    client.send(b"x")?;
    wait::queued(&server, 1)?;
    let high = lab.call("fcntl(s, F_DUPFD, 1024)", rustix::io::fcntl_dupfd_cloexec(&server, FD_SETSIZE))?;

    lab.step("poll and epoll");
    lab.expect("poll", poll_now(&high, EventFlags::IN)?, "IN");
    let epoll = Epoll::new()?;
    lab.call("epoll_ctl(e, ADD, high, IN)", epoll.add(&high, 1, EventFlags::IN))?;
    lab.expect("epoll", mask(&epoll.wait()?), "IN");

    lab.step("select, as Python guards it; for comparison the same socket under a low number");
    let mut python = Python::with(&server)?;
    python.ask("import fcntl; high = fcntl.fcntl(s, fcntl.F_DUPFD, 1024)")?;
    let result = lab.call("python: select([s])", python.ask("len(select.select([s], [], [], 0)[0])"))?;
    lab.expect("select of the low number", result, "1");
    let result = lab.call("python: select([high])", python.ask("select.select([high], [], [], 0)"))?;
    lab.expect("select of the high number", result, "ValueError: filedescriptor out of range in select()");
    the_kernel_itself(lab, &mut python)
}

fn the_kernel_itself(lab: &mut Lab, python: &mut Python) -> Result<(), Stop> {
    lab.step("The call itself, past Python's guard, with a set of 2048 bits instead of an fd_set");
    if python.ask("import ctypes")? != "None" {
        lab.number("the longer set", "not tried", "this Python, which has no ctypes");
        return Ok(());
    }
    python.ask("bits = (ctypes.c_ubyte * 256)(); bits[high // 8] = 1 << high % 8")?;
    python.ask("at_once = (ctypes.c_long * 2)()")?;
    let call = "ctypes.CDLL(None).select(high + 1, bits, None, None, at_once)";
    let result = lab.call("select(high + 1, 2048 bits)", python.ask(call))?;
    lab.expect("descriptors that the kernel finds ready", result, "1");
    Ok(())
}
