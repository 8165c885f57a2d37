//! One direction ended, or one of several descriptors closed: the connection lives on.

use std::io;

use rustix::net::{SendFlags, Shutdown, send, shutdown};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::ends::Ends;
use crate::lab::tools::{drain, helper, net, take, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/closing/half.rs", text: include_str!("half.rs"), experiments: &[X04, X05] };

const X04: Experiment = Experiment {
    id: "X04",
    core: true,
    title: "Half-close: shutdown(SHUT_WR)",
    claim: "After shutdown(SHUT_WR) our own send gives EPIPE; the peer reads 0 but can still send, and we still receive. The \
        states are FIN_WAIT2 here and CLOSE_WAIT there. When the peer closes too we read 0.",
    why: "Reading 0 means \"the peer will send no more\", not \"drop the connection\": flush pending replies first. Clients \
        like `printf ... | nc` rely on it.",
    source: "shutdown(2); UNP 6.6; RFC 9293 3.6",
    needs: &[],
    run: half_a_connection,
    helper: None,
};

fn half_a_connection(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    let ends = Ends::of(&client, &server)?;
    lab.step("The client sends its request and ends its direction");
    lab.call("send(c, \"request\")", client.send(b"request"))?;
    lab.call("shutdown(c, SHUT_WR)", shutdown(&client, Shutdown::Write))?;
    let result = lab.call("send(c, \"x\", MSG_NOSIGNAL)", send(&client, b"x", SendFlags::NOSIGNAL));
    lab.expect("a send after our own SHUT_WR", &result, "EPIPE");
    lab.expect("the states of c, s", ends.settle("FIN_WAIT2", "CLOSE_WAIT")?, "FIN_WAIT2, CLOSE_WAIT");

    lab.step("The server reads the request and the end, and answers all the same");
    let request = lab.call("recv(s, 16)", take::bytes(&server, 16))?;
    lab.expect("what the server reads first", request, b"request");
    let end = lab.call("recv(s, 16)", take::bytes(&server, 16))?;
    lab.expect("then", end, b"");
    lab.call("send(s, \"reply\")", server.send(b"reply"))?;
    let reply = lab.call("recv(c, 5)", drain::exactly(&client, 5))?;
    lab.expect("what the client still receives", reply, b"reply");
    lab.expect("the states of c, s", ends.states()?, "FIN_WAIT2, CLOSE_WAIT");

    lab.step("The server closes too");
    drop(server);
    lab.call("close(s)", Ok::<_, io::Error>(()))?;
    wait::readable(&client)?;
    let end = lab.call("recv(c, 16)", take::bytes(&client, 16))?;
    lab.expect("what the client reads at last", end, b"");
    Ok(())
}

const X05: Experiment = Experiment {
    id: "X05",
    core: true,
    title: "close() of one duplicate sends nothing; shutdown acts on the connection",
    claim: "While a duplicate of the descriptor is open, here or in a child process, close() leaves the connection up: the peer \
        sees EAGAIN. shutdown() on any copy sends FIN for all.",
    why: "A try_clone forgotten in a thread, or a child process that inherited the socket, keeps the client waiting for the end. \
        Hence CLOEXEC everywhere.",
    source: "close(2); shutdown(2); UNP 4.8, 6.6",
    needs: &[],
    run: a_duplicate_keeps_the_connection,
    helper: Some(hold_until_a_byte_comes),
};

fn a_duplicate_keeps_the_connection(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A duplicate in this process, and the original is closed");
    let (client, server) = net::pair()?;
    let copy = lab.call("dup(s)", server.try_clone())?;
    drop(server);
    lab.call("close(s)", Ok::<_, io::Error>(()))?;
    lab.expect("the client sees no end", wait::stays_unreadable(&client)?, true);
    let result = lab.call("recv(c, 16, MSG_DONTWAIT)", take::bytes(&client, 16));
    lab.expect("what the client reads", &result, "EAGAIN");
    drop(copy);
    lab.call("close(dup)", Ok::<_, io::Error>(()))?;
    wait::readable(&client)?;
    let result = lab.call("recv(c, 16, MSG_DONTWAIT)", take::bytes(&client, 16));
    lab.expect("what it reads when the last one is closed", &result, b"");

    lab.step("A child process has the socket as its standard input");
    let (client, server) = net::pair()?;
    let mut child = helper::start(lab.id(), "", &server)?;
    drop(server);
    lab.call("close(s)", Ok::<_, io::Error>(()))?;
    lab.expect("the client sees no end", wait::stays_unreadable(&client)?, true);
    lab.call("send(c, \"x\"), at which the child ends", client.send(b"x"))?;
    child.wait()?;
    wait::readable(&client)?;
    let result = lab.call("recv(c, 16, MSG_DONTWAIT)", take::bytes(&client, 16));
    lab.expect("what it reads when the child is gone", &result, b"");

    lab.step("shutdown on a duplicate ends the connection for all");
    let (client, server) = net::pair()?;
    let copy = lab.call("dup(s)", server.try_clone())?;
    lab.call("shutdown(dup, SHUT_WR)", shutdown(&copy, Shutdown::Write))?;
    wait::readable(&client)?;
    let result = lab.call("recv(c, 16, MSG_DONTWAIT)", take::bytes(&client, 16));
    lab.expect("what the client reads", &result, b"");
    let result = lab.call("send(s, \"x\", MSG_NOSIGNAL)", send(&server, b"x", SendFlags::NOSIGNAL));
    lab.expect("a send on the original", &result, "EPIPE");
    Ok(())
}

/// The child's part: the byte is read, because a close with unread data would be a reset.
fn hold_until_a_byte_comes(_: &str) -> io::Result<()> {
    drain::exactly(io::stdin(), 1).map(drop)
}
