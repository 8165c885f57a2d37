//! When bytes leave: what Nagle, delayed ACKs, a cork and MSG_MORE hold back.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionread;
use rustix::net::sockopt::{set_tcp_cork, set_tcp_quickack};
use rustix::net::{SendFlags, send};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::promptly::promptly;
use crate::lab::tools::tcp_info::TcpInfo;
use crate::lab::tools::{net, proc_net, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/datagrams/segments.rs",
    text: include_str!("segments.rs"),
    experiments: &[D04, D05],
};

const D04: Experiment = Experiment {
    id: "D04",
    core: true,
    title: "Nagle meets delayed ACK: about 40 ms per write-write-read",
    claim: "A request sent as two small writes waits for the delayed ACK of the first: about 40 ms on Linux when the receiver \
        delays ACKs. TCP_NODELAY, one combined write (writev), or MSG_MORE removes that.",
    why: "Write header and body in one call; set TCP_NODELAY on every connection of a request/reply server.",
    source: "RFC 1122 4.2.3.2, 4.2.3.4; tcp(7) TCP_QUICKACK; TCP_DELACK_MIN in include/net/tcp.h",
    needs: &[Need::Python],
    run: write_write_read,
    helper: None,
};

fn write_write_read(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Two small writes, to a receiver that delays its acknowledgements");
    let (_client, server, arrived, begun) = promptly(|| {
        let (client, server) = delaying_pair()?;
        let begun = Instant::now();
        client.send(b"head")?;
        wait::queued(&server, 4)?;
        client.send(b"body")?;
        let arrived = ioctl_fionread(&server)?;
        Ok((client, server, arrived, begun))
    })?;
    wait::queued(&server, 8)?;
    let waited = begun.elapsed();
    lab.call("setsockopt(s, TCP_QUICKACK, 0)", done())?;
    lab.call("send(c, \"head\"); send(c, \"body\")", done())?;
    lab.expect("bytes that have arrived after both", arrived, 4u64);
    lab.expect_that(
        "time from the first write until all was there",
        "at least 20 ms",
        format!("{} ms", waited.as_millis()),
        waited >= Duration::from_millis(20),
    );
    lab.number("that time", format!("{} ms", waited.as_millis()), "TCP_DELACK_MIN, 40 ms");

    lab.step("Three remedies: all has arrived while not even the first byte is acknowledged");
    let head_body = [IoSlice::new(b"head"), IoSlice::new(b"body")];
    remedy(lab, "setsockopt(c, TCP_NODELAY, 1); send(c, \"head\"); send(c, \"body\")", 2, |client| {
        client.set_tcp_nodelay(true)?;
        client.send(b"head")?;
        client.send(b"body").map(drop)
    })?;
    remedy(lab, "writev(c, [\"head\", \"body\"])", 1, |client| client.send_vectored(&head_body).map(drop))?;
    remedy(lab, "send(c, \"head\", MSG_MORE); send(c, \"body\")", 1, |client| {
        send(client, b"head", SendFlags::MORE)?;
        client.send(b"body").map(drop)
    })
}

/// Writes 8 bytes as `write` does, and looks what is not acknowledged when all have arrived.
fn remedy(
    lab: &mut Lab,
    call: &str,
    segments: u64,
    write: impl Fn(&Socket) -> io::Result<()>,
) -> Result<(), Stop> {
    let (client, _server, open) = promptly(|| {
        let (client, server) = delaying_pair()?;
        write(&client)?;
        wait::queued(&server, 8)?;
        let row = proc_net::tcp(net::address(&client)?, net::address(&server)?)?;
        Ok((client, server, row.map(|row| row.send_queue)))
    })?;
    lab.call(call, done())?;
    lab.expect("bytes without an acknowledgement when 8 have arrived", open, 8u64);
    lab.expect("segments", TcpInfo::of(&client)?.segments()?, segments);
    Ok(())
}

/// A connection whose server delays its acknowledgements from the first segment on.
fn delaying_pair() -> io::Result<(Socket, Socket)> {
    let (client, server) = net::pair()?;
    set_tcp_quickack(&server, false)?;
    Ok((client, server))
}

/// The result of a call that has worked, and is noted late, because a note takes time.
const fn done() -> io::Result<()> {
    Ok(())
}

const D05: Experiment = Experiment {
    id: "D05",
    core: false,
    title: "TCP_CORK / MSG_MORE hold partial segments",
    claim: "With TCP_CORK nothing smaller than a full segment leaves until uncorked (or about 200 ms have passed); then one \
        segment carries all. MSG_MORE is the form for one call. TCP_NODELAY does not override a cork, but setting it pushes \
        once what is queued at that moment.",
    why: "Explicit batching for replies of header and sendfile. A forgotten uncork shows as 200 ms of latency.",
    source: "tcp(7) TCP_CORK, TCP_NODELAY; send(2) MSG_MORE",
    needs: &[Need::Python],
    run: a_cork_holds,
    helper: None,
};

fn a_cork_holds(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Corked: two writes, of which nothing leaves until the cork is taken out");
    let (client, server) = net::pair()?;
    lab.call("setsockopt(c, TCP_CORK, 1)", set_tcp_cork(&client, true))?;
    lab.call("send(c, \"head\")", client.send(b"head"))?;
    lab.call("send(c, \"body\")", client.send(b"body"))?;
    lab.expect("nothing arrives", wait::stays_unreadable(&server)?, true);
    lab.call("setsockopt(c, TCP_CORK, 0)", set_tcp_cork(&client, false))?;
    wait::queued(&server, 8)?;
    lab.expect("segments with data", TcpInfo::of(&client)?.segments()?, 1u64);

    lab.step("A full segment leaves in spite of the cork, the rest does not");
    let small = net::socket()?;
    lab.call("setsockopt(c, TCP_MAXSEG, 1000)", small.set_tcp_mss(1000))?;
    let (client, server) = net::pair_of(&net::listener()?, small)?;
    lab.call("setsockopt(c, TCP_CORK, 1)", set_tcp_cork(&client, true))?;
    lab.call("send(c, 1500)", client.send(&[0; 1500]))?;
    wait::readable(&server)?;
    let arrived = ioctl_fionread(&server)?;
    lab.expect_that(
        "bytes that arrive",
        "more than 0, fewer than 1500",
        arrived,
        0 < arrived && arrived < 1500,
    );
    lab.call("setsockopt(c, TCP_CORK, 0)", set_tcp_cork(&client, false))?;
    wait::queued(&server, 1500)?;
    lab.expect("bytes that have arrived without it", ioctl_fionread(&server)?, 1500u64);
    a_cork_and_no_delay(lab)?;
    one_call_that_holds(lab)
}

fn a_cork_and_no_delay(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("TCP_NODELAY on a corked socket: it pushes once; the cork stays");
    let (client, server) = net::pair()?;
    lab.call("setsockopt(c, TCP_CORK, 1)", set_tcp_cork(&client, true))?;
    lab.call("send(c, \"head\")", client.send(b"head"))?;
    lab.call("setsockopt(c, TCP_NODELAY, 1)", client.set_tcp_nodelay(true))?;
    wait::queued(&server, 4)?;
    let begun = Instant::now();
    lab.call("send(c, \"body\")", client.send(b"body"))?;
    let held = wait::stays_false(|| Ok(ioctl_fionread(&server)? > 4))?;
    lab.expect("what is sent afterwards is held", held, true);
    wait::queued(&server, 8)?;
    let waited = format!("{} ms", begun.elapsed().as_millis());
    lab.number("time until it left in spite of the cork", waited, "the kernel's timer, 200 ms");
    Ok(())
}

fn one_call_that_holds(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("MSG_MORE: one call that holds, and the next that does not");
    let (client, server) = net::pair()?;
    lab.call("send(c, \"head\", MSG_MORE)", send(&client, b"head", SendFlags::MORE))?;
    lab.expect("nothing arrives", wait::stays_unreadable(&server)?, true);
    lab.call("send(c, \"body\")", client.send(b"body"))?;
    wait::queued(&server, 8)?;
    lab.expect("segments with data", TcpInfo::of(&client)?.segments()?, 1u64);
    Ok(())
}
