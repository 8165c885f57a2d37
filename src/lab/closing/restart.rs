//! SO_REUSEADDR: a server that is started again, and two at once.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{SockRef, Socket};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::ends::Ends;
use crate::lab::tools::{net, time_wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/closing/restart.rs", text: include_str!("restart.rs"), experiments: &[X07, X08] };

const X07: Experiment = Experiment {
    id: "X07",
    core: true,
    title: "\"Address already in use\" after a restart: SO_REUSEADDR must be on BOTH incarnations",
    claim: "With a TIME_WAIT left on the port, bind without SO_REUSEADDR fails with EADDRINUSE; with it, it succeeds, but on \
        Linux only if the OLD server had SO_REUSEADDR set too.",
    why: "Set it before every bind of a listener, from the first deployment. std::net::TcpListener::bind sets it on Unix, mio's \
        too; socket2 does not.",
    source: "socket(7) SO_REUSEADDR; inet_csk_bind_conflict() in net/ipv4/inet_connection_sock.c: a TIME_WAIT keeps the old \
        socket's flag",
    needs: &[],
    run: a_server_that_is_started_again,
    helper: None,
};

fn a_server_that_is_started_again(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("The old server had no SO_REUSEADDR; it closed first, and TIME_WAIT is on its port");
    let port = left_in_time_wait(lab, false)?;
    let result = lab.call("bind(new, port)", restarted(port, false));
    lab.expect("the new one without SO_REUSEADDR", &result, "EADDRINUSE");
    let result = lab.call("setsockopt(new, SO_REUSEADDR, 1); bind(new, port)", restarted(port, true));
    lab.expect("the new one with SO_REUSEADDR", &result, "EADDRINUSE");

    lab.step("The old server had SO_REUSEADDR");
    let port = left_in_time_wait(lab, true)?;
    let result = lab.call("bind(new, port)", restarted(port, false));
    lab.expect("the new one without SO_REUSEADDR", &result, "EADDRINUSE");
    let result =
        lab.call("setsockopt(new, SO_REUSEADDR, 1); bind(new, port); listen(new)", restarted(port, true));
    lab.expect("the new one with SO_REUSEADDR", &result, "a socket");
    drop(result);

    lab.step("What libraries set by themselves");
    let standard = TcpListener::bind(port)?;
    lab.expect("std::net::TcpListener::bind", SockRef::from(&standard).reuse_address()?, true);
    drop(standard);
    let mio = mio::net::TcpListener::bind(port)?;
    lab.expect("mio::net::TcpListener::bind", SockRef::from(&mio).reuse_address()?, true);
    lab.expect("socket2::Socket::new", net::socket()?.reuse_address()?, false);
    Ok(())
}

/// Where a server was that closed its connection before its client did.
fn left_in_time_wait(lab: &mut Lab, reuse: bool) -> Result<SocketAddr, Stop> {
    let overflows = time_wait::overflows()?;
    let old = net::socket()?;
    lab.call(format!("setsockopt(old, SO_REUSEADDR, {})", u8::from(reuse)), old.set_reuse_address(reuse))?;
    old.bind(&net::anywhere().into())?;
    old.listen(8)?;
    let port = net::address(&old)?;
    let (client, server) = net::pair_of(&old, net::socket()?)?;
    let ends = Ends::of(&client, &server)?;
    drop((server, client, old));
    lab.call("close(s); close(c); close(old)", Ok::<_, io::Error>(()))?;
    let states = ends.settle("gone", "TIME_WAIT")?;
    time_wait::skip_if_exhausted(overflows)?;
    lab.expect("what remains of c, s", states, "gone, TIME_WAIT");
    Ok(port)
}

/// A listener at `at`.
fn restarted(at: SocketAddr, reuse: bool) -> io::Result<Socket> {
    let new = bound(at, reuse)?;
    new.listen(8)?;
    Ok(new)
}

fn bound(at: SocketAddr, reuse: bool) -> io::Result<Socket> {
    let new = net::socket()?;
    new.set_reuse_address(reuse)?;
    new.bind(&at.into())?;
    Ok(new)
}

const X08: Experiment = Experiment {
    id: "X08",
    core: true,
    title: "SO_REUSEADDR does not let two live listeners share a port",
    claim: "TCP: bind fails with EADDRINUSE while another socket LISTENs there, even with SO_REUSEADDR on both. Two merely bound \
        sockets may coexist, but then the second listen fails with EADDRINUSE. 0.0.0.0:p conflicts with 127.0.0.1:p.",
    why: "It is safe to set it always: it does not hide a second running server (unlike on Windows). The failure may come from \
        listen, not bind.",
    source: "socket(7) SO_REUSEADDR \"except when there is an active listening socket\"; UNP 7.5",
    needs: &[],
    run: two_live_listeners,
    helper: None,
};

fn two_live_listeners(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A listener with SO_REUSEADDR, and a second socket with it");
    let first = restarted(net::anywhere(), true)?;
    let port = net::address(&first)?;
    let result = lab.call("bind(second, port)", bound(port, true));
    lab.expect("bind while the first listens", &result, "EADDRINUSE");
    let everywhere = (Ipv4Addr::UNSPECIFIED, port.port()).into();
    let result = lab.call("bind(second, 0.0.0.0:port)", bound(everywhere, true));
    lab.expect("bind to all addresses while the first listens on one", &result, "EADDRINUSE");
    drop(first);

    lab.step("Two sockets that are only bound");
    let first = lab.call("bind(first, port)", bound(port, true))?;
    let second = lab.call("bind(second, port)", bound(port, true));
    lab.expect("the second bind", &second, "a socket");
    lab.call("listen(first)", first.listen(8))?;
    let result = lab.call("listen(second)", second?.listen(8));
    lab.expect("the second listen", &result, "EADDRINUSE");
    drop(first);

    lab.step("All addresses first, then one of them");
    let first = restarted(everywhere, true)?;
    let result = lab.call("bind(second, 127.0.0.1:port)", bound(port, true));
    lab.expect("bind to one address while the first listens on all", &result, "EADDRINUSE");
    drop(first);

    lab.step("Without SO_REUSEADDR two cannot even be bound");
    let _first = lab.call("bind(first, port)", bound(port, false))?;
    let result = lab.call("bind(second, port)", bound(port, false));
    lab.expect("the second bind", &result, "EADDRINUSE");
    Ok(())
}
