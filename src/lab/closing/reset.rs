//! FIN or RST: what the peer gets to see of a close.

use std::time::Duration;

use rustix::net::{Shutdown, shutdown};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::ends::Ends;
use crate::lab::tools::{drain, fill, net, proc_net, take, time_wait, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/closing/reset.rs", text: include_str!("reset.rs"), experiments: &[X01, X02, X03] };

const X01: Experiment = Experiment {
    id: "X01",
    core: true,
    title: "close() with an empty receive queue sends FIN; with unread data it sends RST",
    claim: "The peer reads the data and then 0 when we had consumed everything. If even one byte was unread in our queue, the \
        peer gets ECONNRESET instead of the end (after the data it had already received), what we had not yet sent is lost, and \
        we leave no TIME_WAIT.",
    why: "Answering and closing without reading the rest of the request can turn a good reply into a reset at the client. \
        Shut down the write side, read to the end, then close.",
    source: "RFC 1122 4.2.2.13; RFC 2525 2.17; tcp_close() in net/ipv4/tcp.c",
    needs: &[],
    run: unread_data_turns_fin_into_rst,
    helper: None,
};

fn unread_data_turns_fin_into_rst(lab: &mut Lab) -> Result<(), Stop> {
    let overflows = time_wait::overflows()?;
    lab.step("The server reads all of the request, answers, and closes");
    let (client, server) = requested(lab)?;
    let ends = Ends::of(&client, &server)?;
    lab.call("recv(s, 16)", take::bytes(&server, 16))?;
    lab.call("send(s, \"reply\")", server.send(b"reply"))?;
    drop(server);
    lab.call("close(s)", closed())?;
    lab.expect("what the client reads", after_the_close(&client)?, "b\"reply\", then the end");
    drop(client);
    let states = ends.settle("gone", "TIME_WAIT")?;
    time_wait::skip_if_exhausted(overflows)?;
    lab.expect("what remains of c, s when both have closed", states, "gone, TIME_WAIT");

    lab.step("The server leaves one byte of the request unread");
    let (client, server) = requested(lab)?;
    let ends = Ends::of(&client, &server)?;
    lab.call("recv(s, 6)", take::bytes(&server, 6))?;
    lab.call("send(s, \"reply\")", server.send(b"reply"))?;
    wait::queued(&client, 5)?;
    drop(server);
    lab.call("close(s)", closed())?;
    lab.expect("what the client reads", after_the_close(&client)?, "b\"reply\", then ECONNRESET");
    drop(client);
    lab.expect("what remains of c, s", ends.settle("gone", "gone")?, "gone, gone");

    lab.step("The same with a reply of which a part is still in the server's buffer");
    let (client, server) = requested(lab)?;
    let taken = fill::until_full(&server)?;
    drop(server);
    lab.call("close(s)", closed())?;
    let (read, end) = read_until_it_ends(&client)?;
    lab.expect("how the client's reading ends", end, "ECONNRESET");
    lab.expect_that("bytes the client could read", "fewer than the server sent", read, read < taken);
    lab.number("bytes the server's send took", taken, "the kernel's bookkeeping");
    the_remedy(lab)
}

fn the_remedy(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("The remedy: shut down, read to the end, close");
    let (client, server) = requested(lab)?;
    lab.call("send(s, \"reply\")", server.send(b"reply"))?;
    lab.call("shutdown(s, SHUT_WR)", shutdown(&server, Shutdown::Write))?;
    lab.expect("what the client reads", after_the_close(&client)?, "b\"reply\", then the end");
    drop(client);
    let rest = lab.call("recv(s, ...) until it returns 0", drain::to_end(&server))?;
    lab.expect("bytes of the request that the server threw away", rest, 7usize);
    Ok(())
}

/// A connection whose client has sent a request of 7 bytes that has arrived.
fn requested(lab: &mut Lab) -> Result<(Socket, Socket), Stop> {
    let (client, server) = net::pair()?;
    lab.call("send(c, \"request\")", client.send(b"request"))?;
    wait::queued(&server, 7)?;
    Ok((client, server))
}

/// The first 16 bytes, and how it goes on: at once, because the peer has closed.
fn after_the_close(socket: &Socket) -> std::io::Result<String> {
    wait::readable(socket)?;
    let data = take::bytes(socket, 16)?;
    wait::readable(socket)?;
    let next = match take::bytes(socket, 16) {
        Ok(more) if more.is_empty() => "the end".to_owned(),
        Ok(more) => crate::lab::bytes(&more),
        Err(error) => crate::lab::error_name(&error),
    };
    Ok(format!("{}, then {next}", crate::lab::bytes(&data)))
}

/// How many bytes can be read, and what comes then.
fn read_until_it_ends(socket: &Socket) -> std::io::Result<(usize, String)> {
    let mut total = 0;
    loop {
        wait::readable(socket)?;
        match take::bytes(socket, 16 * 1024) {
            Ok(data) if data.is_empty() => return Ok((total, "the end".to_owned())),
            Ok(data) => total += data.len(),
            Err(error) => return Ok((total, crate::lab::error_name(&error))),
        }
    }
}

/// close(2), which a `drop` has just done.
const fn closed() -> std::io::Result<()> {
    Ok(())
}

const X02: Experiment = Experiment {
    id: "X02",
    core: true,
    title: "SO_LINGER {1,0}: close sends RST, drops unsent data, no TIME_WAIT",
    claim: "With SO_LINGER on and a time of 0 the peer gets ECONNRESET, queued but unsent bytes are lost, and no TIME_WAIT \
        remains.",
    why: "Useful for load-test clients (no port exhaustion) and for kicking abusers; harmful for ordinary replies.",
    source: "socket(7) SO_LINGER; UNP 7.5; RFC 9293 3.10.5 ABORT",
    needs: &[],
    run: linger_zero_resets,
    helper: None,
};

fn linger_zero_resets(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Nothing is unread and nothing unsent, and yet there is no FIN");
    let (client, server) = net::pair()?;
    let ends = Ends::of(&client, &server)?;
    abort(lab, server)?;
    wait::readable(&client)?;
    let result = lab.call("recv(c, 16)", take::bytes(&client, 16));
    lab.expect("what the peer reads", &result, "ECONNRESET");
    drop(client);
    lab.expect("what remains of c, s", ends.settle("gone", "gone")?, "gone, gone");

    lab.step("Bytes are queued that have not left yet");
    let (client, server) = net::pair()?;
    let taken = lab.call("send(s, ...) until EAGAIN", fill::until_full(&server))?;
    let ends = Ends::of(&client, &server)?;
    let queued = proc_net::tcp(ends.server, ends.client)?.map_or(0, |row| row.send_queue);
    lab.expect_that("bytes in the send queue", "more than 0", queued, queued > 0);
    abort(lab, server)?;
    let (read, end) = read_until_it_ends(&client)?;
    lab.expect("how the peer's reading ends", end, "ECONNRESET");
    lab.expect_that("bytes the peer could read", "fewer than were taken", read, read < taken);
    lab.number("bytes that were lost", taken - read, "the buffers, and the kernel's bookkeeping");
    Ok(())
}

fn abort(lab: &mut Lab, socket: Socket) -> Result<(), Stop> {
    lab.call("setsockopt(s, SO_LINGER, {1, 0})", socket.set_linger(Some(Duration::ZERO)))?;
    drop(socket);
    lab.call("close(s)", closed())?;
    Ok(())
}

const X03: Experiment = Experiment {
    id: "X03",
    core: false,
    title: "close() returns at once and the kernel delivers in the background",
    claim: "Without SO_LINGER close() on a socket with queued data returns immediately; all bytes and then FIN reach a slow \
        reader.",
    why: "Once your own write buffer is empty you may close; the kernel finishes. But your user-space buffer dies with the \
        connection: flush before close.",
    source: "close(2); socket(7); UNP 7.5",
    needs: &[],
    run: the_kernel_delivers_after_close,
    helper: None,
};

fn the_kernel_delivers_after_close(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("The buffers of both are full, and the client does not read");
    let (client, server) = net::pair()?;
    let ends = Ends::of(&client, &server)?;
    let taken = lab.call("send(s, ...) until EAGAIN", fill::until_full(&server))?;
    lab.number("bytes taken", taken, "the buffers, and the kernel's bookkeeping");

    lab.step("close, which has returned while bytes are still queued");
    drop(server);
    lab.call("close(s)", closed())?;
    let row = proc_net::tcp(ends.server, ends.client)?;
    lab.expect("the state of s after close", row.map(|row| row.state), "FIN_WAIT1");
    let queued = row.map_or(0, |row| row.send_queue);
    lab.expect_that("bytes still in its send queue", "more than 0", queued, queued > 0);

    lab.step("The client reads, late");
    let (read, end) = read_until_it_ends(&client)?;
    lab.expect("bytes the client reads", read, taken);
    lab.expect("how it ends", end, "the end");
    Ok(())
}
