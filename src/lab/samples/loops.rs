//! Loops around recv: one that never ends, one that ends rightly, and readers that hide what they have.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;

use rustix::io::ioctl_fionread;

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::set_nonblocking;
use crate::lab::tools::python::Python;
use crate::lab::tools::{drain, hangup, net, script, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/samples/loops.rs", text: include_str!("loops.rs"), experiments: &[Z03, Z06, Z07] };

const Z03: Experiment = Experiment {
    id: "Z03",
    core: false,
    title: "The acknowledging server: an endless loop after the client has left",
    claim: "recv returns b\"\" for ever, and the loop tests for b\"exit\" only. So it spins, and its second or third send fails \
        with EPIPE, which nobody catches: the server dies. And \"hi\" and \"exit\" that arrive together never equal b\"exit\".",
    why: "Test for 0 first, and compare whole frames, not what one recv happened to return.",
    source: "a tutorial's server that acknowledges every message; recv(2)",
    needs: &[Need::Python],
    run: a_loop_without_an_end,
    helper: None,
};

/// The tutorial's loop, with a bound and two counts.
const SERVER: &str = "
turns = empty = 0
def serve(most):
    global turns, empty
    for _ in range(most):
        turns += 1
        data = s.recv(1024)
        empty += data == b''
        if data == b'exit':
            return 'left'
        s.send('已收到'.encode('utf-8'))
    return 'still here'
";

fn a_loop_without_an_end(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("As the tutorial has it used: \"exit\" arrives alone");
    let (client, server) = net::pair()?;
    let mut python = Python::with(&server)?;
    script::define(&mut python, SERVER)?;
    lab.call("send(c, \"exit\")", client.send(b"exit"))?;
    let left = lab.call("python: serve(1)", python.ask("serve(1)"))?;
    lab.expect("the loop", left, "'left'");

    lab.step("\"hi\" and \"exit\" arrive together");
    lab.call("send(c, \"hi\")", client.send(b"hi"))?;
    lab.call("send(c, \"exit\")", client.send(b"exit"))?;
    wait::queued(&server, 6)?;
    let left = lab.call("python: serve(1)", python.ask("serve(1)"))?;
    lab.expect("the loop", left, "'still here'");
    let reply = drain::exactly(&client, 9)?;
    lab.expect("the reply to \"hiexit\"", String::from_utf8_lossy(&reply).into_owned(), "已收到");

    lab.step("The client leaves");
    python.ask("turns = empty = 0")?;
    lab.call("close(c)", hangup::close(client))?;
    hangup::end_arrived(&server)?;
    let died = lab.call("python: serve(1000)", python.ask("serve(1000)"))?;
    lab.expect("how the loop ends", died, "EPIPE");
    let turns = python.ask("turns")?;
    lab.number("turns until then", &turns, "when the RST came back");
    lab.expect("turns in which recv returned b''", python.ask("empty")?, turns.clone());
    let survived = turns.parse::<u32>().is_ok_and(|turns| turns > 1);
    lab.expect("its first send to nobody succeeded", survived, true);

    lab.step("A loop that does not even send would never end");
    let empty = python.ask("sum(s.recv(1024) == b'' for _ in range(1000))")?;
    lab.expect("empty reads out of 1000", empty, "1000");
    Ok(())
}

const Z06: Experiment = Experiment {
    id: "Z06",
    core: false,
    title: "An HTTP client that reads to the end: right with \"Connection: close\", fragile otherwise",
    claim: "GET with Connection: close, reading until recv returns 0, and splitting once at CRLFCRLF gives header and body, however \
        the reply is chopped. If the peer resets instead, the loop raises ECONNRESET; if the reply has no CRLFCRLF, the split \
        raises ValueError; a peer that keeps the connection alive never gives 0; and a truncated reply looks complete unless \
        Content-Length is checked.",
    why: "That the end of the stream ends the body is legitimate. What is missing is the check, and a time limit.",
    source: "a tutorial's HTTP client; RFC 9112 6.3",
    needs: &[Need::Python],
    run: reading_to_the_end,
    helper: None,
};

const CLIENT: &str = "
def get():
    reply = []
    while True:
        data = s.recv(1024)
        if not data:
            break
        reply.append(data)
    header, body = b''.join(reply).split(b'\\r\\n\\r\\n', 1)
    return body
";

const REPLY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nab\r\n\r\ncd";

fn reading_to_the_end(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("The server sends and closes; the reply is chopped in three ways");
    for size in [1, 7, 1024] {
        let body = get_from(lab, REPLY, size, End::Close)?;
        lab.expect(format!("the body, in pieces of {size}"), body, "b'ab\\r\\n\\r\\ncd'");
    }
    lab.step("The server's reply is cut off, and its end is a FIN all the same");
    let body = get_from(lab, &REPLY[..REPLY.len() - 4], 1024, End::Close)?;
    lab.expect("half a body, and no error", body, "b'ab\\r\\n'");

    lab.step("The server's end is a RST");
    let body = get_from(lab, REPLY, 1024, End::Reset)?;
    lab.expect("the loop", body, "ECONNRESET");

    lab.step("The reply has no empty line");
    let body = get_from(lab, "HTTP/1.1 200 OK\r\n", 1024, End::Close)?;
    lab.expect("the split", body, "ValueError: not enough values to unpack (expected 2, got 1)");

    lab.step("The server keeps the connection alive; so that we see it, the client gives up");
    let body = get_from(lab, REPLY, 1024, End::KeepAlive)?;
    lab.expect("the loop, with settimeout(0.3)", body, "TimeoutError without errno");
    Ok(())
}

/// How a server ends its reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Close,
    Reset,
    KeepAlive,
}

/// What the client makes of a reply in pieces of `size`; each is sent when the one before was read.
fn get_from(lab: &mut Lab, reply: &str, size: usize, end: End) -> Result<String, Stop> {
    let (client, server) = net::pair()?;
    let mut python = Python::with(&client)?;
    script::define(&mut python, CLIENT)?;
    if end == End::KeepAlive {
        python.ask("s.settimeout(0.3)")?;
    }
    server.set_tcp_nodelay(true)?;
    python.tell("get()")?;
    for piece in reply.as_bytes().chunks(size) {
        server.send(piece)?;
        wait::until("the client did not read", || Ok(ioctl_fionread(&client)? == 0))?;
    }
    let kept = match end {
        End::Close => {
            drop(server);
            None
        }
        End::Reset => {
            hangup::reset(server)?;
            None
        }
        End::KeepAlive => Some(server),
    };
    if kept.is_none() {
        hangup::end_arrived(&client)?;
    }
    Ok(lab.call("python: get()", python.answer())?)
}

const Z07: Experiment = Experiment {
    id: "Z07",
    core: false,
    title: "makefile() and buffered readers on a non-blocking socket",
    claim: "Python's makefile() on a non-blocking socket: without data readline returns b\"\", which looks like the end; with half \
        a line it returns the half. On a socket with a timeout it breaks for good (\"cannot read from timed out object\"). What \
        is buffered is invisible to select and epoll. Rust's BufReader has this last problem; and its read_line returns \
        WouldBlock with half a line already appended.",
    why: "After one fill of a buffered reader the kernel's queue is empty and no event comes, although lines wait in the buffer.",
    source: "Python's socket.makefile: \"The socket must be in blocking mode\"; Rust io::BufRead::read_line",
    needs: &[Need::Python],
    run: readers_that_hide,
    helper: None,
};

fn readers_that_hide(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    let mut python = Python::with(&client)?;
    lab.step("Python: a non-blocking socket");
    python.ask("s.setblocking(False); f = s.makefile('rb')")?;
    let line = lab.call("python: f.readline()", python.ask("f.readline()"))?;
    lab.expect("no data, and yet no error", line, "b''");
    lab.call("send(s, \"half a \")", server.send(b"half a "))?;
    wait::queued(&client, 7)?;
    let line = lab.call("python: f.readline()", python.ask("f.readline()"))?;
    lab.expect("half a line, as if it were one", line, "b'half a '");

    lab.step("Python: a socket with a timeout");
    python.ask("s.settimeout(0.05); f = s.makefile('rb')")?;
    let line = lab.call("python: f.readline()", python.ask("f.readline()"))?;
    lab.expect("the first time", line, "TimeoutError without errno");
    lab.call("send(s, \"a line\\n\")", server.send(b"a line\n"))?;
    wait::queued(&client, 7)?;
    let line = lab.call("python: f.readline()", python.ask("f.readline()"))?;
    lab.expect("the second time, with a line in the queue", line, "OSError without errno");
    rust_hides_too(lab)
}

fn rust_hides_too(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    lab.step("Rust: two lines arrive, and one is asked for");
    set_nonblocking(&client, true)?;
    let mut reader = BufReader::new(TcpStream::from(client.try_clone()?));
    lab.call("send(s, \"one\\ntwo\\n\")", server.send(b"one\ntwo\n"))?;
    wait::queued(&client, 8)?;
    let mut line = String::new();
    lab.call("read_line()", reader.read_line(&mut line))?;
    lab.expect("the line", line.as_bytes(), b"one\n");
    lab.expect("bytes left in the kernel's queue", ioctl_fionread(&client)?, 0u64);
    lab.expect("poll keeps silent", wait::stays_unreadable(&client)?, true);
    lab.expect("and the second line waits in the reader", reader.buffer().to_vec(), b"two\n");

    lab.step("Rust: half a line");
    line.clear();
    reader.read_line(&mut line)?;
    line.clear();
    lab.call("send(s, \"half\")", server.send(b"half"))?;
    wait::queued(&client, 4)?;
    let result = lab.call("read_line()", reader.read_line(&mut line));
    lab.expect("the result", &result, "EAGAIN");
    lab.expect("what it has appended all the same", &line, "half");
    Ok(())
}
