//! Writing to a peer that has gone.

use std::fs;
use std::io;
use std::process::Command;

use rustix::net::{SendFlags, send};
use socket2::Socket;

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::{hangup, net, receive, script};

pub(super) const PAGE: Page =
    Page { path: "src/lab/send/ends.rs", text: include_str!("ends.rs"), experiments: &[S04, S05, S06] };

const S04: Experiment = Experiment {
    id: "S04",
    core: true,
    title: "Writing to a peer that has closed: the first send succeeds, the second is EPIPE",
    claim: "After the peer's close() (its FIN has come) our first send succeeds, and provokes a RST; the next send fails with \
        EPIPE. recv says 0 all the time, never ECONNRESET, because the FIN came first.",
    why: "A successful write says nothing about the peer being alive. Watch EPOLLRDHUP and a read of 0, not the errors of \
        writes, to notice a close.",
    source: "UNP 5.12, 5.13; RFC 9293 3.10.7; in CLOSE_WAIT Linux takes a RST for EPIPE",
    needs: &[],
    run: writing_after_a_fin,
    helper: None,
};

fn writing_after_a_fin(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    lab.step("The peer closes; everything was read, so it sends a FIN");
    lab.call("close(s)", hangup::close(server))?;
    hangup::end_arrived(&client)?;
    fails_or(lab, "recv(c, 64)", receive::count(&client), "0");

    lab.step("We write");
    fails_or(lab, "send(c, 1)", send_one(&client), "1");
    hangup::reset_arrived(&client)?;
    fails_or(lab, "recv(c, 64)", receive::count(&client), "0");

    lab.step("The peer's RST has come; we write again");
    fails_or(lab, "send(c, 1)", send_one(&client), "EPIPE");
    fails_or(lab, "send(c, 1)", send_one(&client), "EPIPE");
    fails_or(lab, "recv(c, 64)", receive::count(&client), "0");
    Ok(())
}

fn send_one(socket: &Socket) -> io::Result<usize> {
    Ok(send(socket, b"x", SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?)
}

fn fails_or(lab: &mut Lab, call: &str, result: io::Result<usize>, claimed: &str) {
    let result = lab.call(call, result);
    lab.expect(call, &result, claimed);
}

const S05: Experiment = Experiment {
    id: "S05",
    core: true,
    title: "Writing after a RST: ECONNRESET once, then EPIPE",
    claim: "When a RST has arrived on an established connection, whichever call comes first (send, recv or SO_ERROR) reports \
        ECONNRESET; every later send gives EPIPE, and every later recv 0.",
    why: "EPIPE and ECONNRESET are both ordinary ends of a connection: handle them alike, and never panic at either.",
    source: "send(2) EPIPE, ECONNRESET; UNP 5.13",
    needs: &[],
    run: writing_after_a_reset,
    helper: None,
};

fn writing_after_a_reset(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("The first call is send");
    let client = reset_client(lab)?;
    fails_or(lab, "send(c, 1)", send_one(&client), "ECONNRESET");
    afterwards(lab, &client);

    lab.step("The first call is recv");
    let client = reset_client(lab)?;
    fails_or(lab, "recv(c, 64)", receive::count(&client), "ECONNRESET");
    afterwards(lab, &client);

    lab.step("The first call is getsockopt(SO_ERROR)");
    let client = reset_client(lab)?;
    let error = lab.call("getsockopt(c, SO_ERROR)", client.take_error())?;
    lab.expect("SO_ERROR", error, "ECONNRESET");
    afterwards(lab, &client);
    Ok(())
}

fn afterwards(lab: &mut Lab, client: &Socket) {
    fails_or(lab, "send(c, 1)", send_one(client), "EPIPE");
    fails_or(lab, "recv(c, 64)", receive::count(client), "0");
    fails_or(lab, "send(c, 1)", send_one(client), "EPIPE");
    fails_or(lab, "recv(c, 64)", receive::count(client), "0");
}

/// A client whose connection was established, and was reset.
fn reset_client(lab: &mut Lab) -> Result<Socket, Stop> {
    let (client, server) = net::pair()?;
    lab.call("setsockopt(s, SO_LINGER, {1, 0}); close(s)", hangup::reset(server))?;
    hangup::reset_arrived(&client)?;
    Ok(client)
}

const S06: Experiment = Experiment {
    id: "S06",
    core: true,
    title: "SIGPIPE kills unless ignored; MSG_NOSIGNAL suppresses it for one call",
    claim: "With the default disposition, the send that returns EPIPE also raises SIGPIPE and kills the process. MSG_NOSIGNAL \
        suppresses it for that call. ECONNRESET raises no signal. Pipes have no such flag. Python and Rust's standard library \
        both begin with SIGPIPE ignored; but what Rust starts gets the default back.",
    why: "Rust is safe by default, but its children are not, and C libraries or -Zon-broken-pipe change it.",
    source: "send(2) MSG_NOSIGNAL; signal(7); pipe(7); Rust std::process::Command",
    needs: &[Need::Python],
    run: what_sigpipe_kills,
    helper: None,
};

/// What each script begins with.
const DEFAULT: &str = "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n";

/// Prints the name of the error that a call ends with.
const ATTEMPT: &str = "
import errno
def attempt(call):
    try:
        call()
    except OSError as e:
        print(errno.errorcode[e.errno], flush=True)
";

fn what_sigpipe_kills(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Who ignores SIGPIPE: ourselves, a child of ours, and Python");
    let ours = fs::read_to_string("/proc/self/status")?;
    lab.expect("Rust's standard library", disposition(&ours), "ignored");
    let child = Command::new("cat").arg("/proc/self/status").output()?;
    lab.expect("cat, started by us", disposition(&String::from_utf8_lossy(&child.stdout)), "default");
    let (client, _server) = net::pair()?;
    let (printed, _) = script::run("print(signal.getsignal(signal.SIGPIPE).name)", &client)?;
    lab.expect("Python", printed, "SIG_IGN");

    lab.step("Ourselves: EPIPE, and we live");
    let client = broken_client()?;
    let result = send(&client, b"x", SendFlags::empty());
    fails_or(lab, "send(c, 1)", result.map_err(io::Error::from), "EPIPE");

    lab.step("A process with the default disposition");
    dies(lab, "s.send(b'x')", &broken_client()?, "", "killed by SIGPIPE")?;
    dies(lab, "s.send(b'x', socket.MSG_NOSIGNAL)", &broken_client()?, "EPIPE", "exit 0")?;

    lab.step(
        "The same process, but the connection was reset: ECONNRESET raises nothing, the EPIPE after it does",
    );
    let client = reset_client(lab)?;
    dies(lab, "s.send(b'x')", &client, "ECONNRESET", "exit 0")?;
    dies(lab, "s.send(b'x')", &client, "", "killed by SIGPIPE")?;

    lab.step("The same process, and a pipe that nobody reads");
    let pipe = "r, w = os.pipe(); os.close(r)\n";
    let (printed, status) =
        script::run(&format!("{DEFAULT}{ATTEMPT}{pipe}attempt(lambda: os.write(w, b'x'))"), &client)?;
    lab.expect("write(pipe, 1)", (printed, script::ending(status)), ("", "killed by SIGPIPE"));
    Ok(())
}

/// Makes one call in a process that does not ignore SIGPIPE: the error it printed, and how it ended.
fn dies(lab: &mut Lab, call: &str, socket: &Socket, error: &str, ending: &str) -> Result<(), Stop> {
    let code = format!("{DEFAULT}{ATTEMPT}attempt(lambda: {call})");
    let (printed, status) = script::run(&code, socket)?;
    lab.expect(
        format!("{call}: its error, and how the process ended"),
        (printed, script::ending(status)),
        (error, ending),
    );
    Ok(())
}

/// A client whose next send is EPIPE: the peer has closed, and its RST has come.
fn broken_client() -> io::Result<Socket> {
    let (client, server) = net::pair()?;
    drop(server);
    hangup::end_arrived(&client)?;
    client.send(b"x")?;
    hangup::reset_arrived(&client)?;
    Ok(client)
}

/// The bit of SIGPIPE, signal 13, in `SigIgn` of proc_pid_status(5).
fn disposition(status: &str) -> &'static str {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    match mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) {
        Some(mask) if mask & (1 << 12) != 0 => "ignored",
        Some(_) => "default",
        None => "unknown",
    }
}
