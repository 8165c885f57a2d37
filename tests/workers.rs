//! `serve --workers`: processes that share the ports, and their parent.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use support::*;

/// The processes whose parent is `parent` (proc(5)).
fn children(parent: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("proc(5)").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields: Vec<&str> = stat.rsplit(')').next().expect("proc(5)").split_whitespace().collect();
        if fields[1] == parent.as_raw_nonzero().to_string() {
            found.push(Pid::from_raw(pid).expect("not 0"));
        }
    }
    found.sort_by_key(|pid| pid.as_raw_nonzero());
    found
}

/// Waits until a process that is not our child is gone: it may be init's to reap, so a zombie is gone too.
fn wait_gone(pid: Pid) {
    let until = Instant::now() + PATIENCE;
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    while test_kill_process(pid).is_ok() {
        let state = fs::read_to_string(&stat).unwrap_or_default();
        if state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
            return;
        }
        assert!(Instant::now() < until, "{pid:?} is still there");
        std::thread::yield_now();
    }
}

/// Connects until every one of `workers` has had a connection, and keeps them.
fn connect_to_all(server: &Server, workers: usize) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    let until = Instant::now() + PATIENCE;
    loop {
        for _ in 0..8 {
            let mut client = server.connect();
            exchange(&mut client, b"hello", b"hello");
            clients.push(client);
        }
        let before = server.log().lines().filter(|line| line.contains("stats ")).count();
        server.signal(Signal::USR1);
        let lines = server.wait_logs("stats ", before + workers).split_off(before);
        let open: Vec<u64> = lines.iter().map(|line| number_after(line, "open=")).collect();
        assert_eq!(open.iter().sum::<u64>(), clients.len() as u64, "{lines:?}");
        if open.iter().all(|open| *open > 0) {
            return clients;
        }
        assert!(Instant::now() < until, "the kernel gives connections to some only: {lines:?}");
    }
}

fn number_after(line: &str, name: &str) -> u64 {
    let rest = line.split_once(name).unwrap_or_else(|| panic!("no {name} in {line}")).1;
    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
}

#[test]
fn workers_share_the_connections_of_one_port_and_drain_with_0() {
    let server = Server::start(&["--workers=2"]);
    let mut clients = connect_to_all(&server, 2);
    server.signal(Signal::TERM);
    for client in &mut clients {
        expect_end(client);
    }
    let count = clients.len() as u64;
    drop(clients);
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, [""; 0], "the listening line was printed once");
    let stopped: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("stopped open=0")).collect();
    assert_eq!(stopped.iter().map(|line| number_after(line, "accepted=")).sum::<u64>(), count, "{stopped:?}");
    let workers: BTreeSet<u64> = stopped.iter().map(|line| number_after(line, "worker=")).collect();
    assert_eq!(workers, BTreeSet::from([0, 1]));
}

#[test]
fn listening_lines_come_once_each_in_argument_order_with_the_ports_that_all_share() {
    let listen = ["--listen=tcp://127.0.0.2:0", "--listen=udp://127.0.0.1:0", "--listen=tcp://127.0.0.1:0"];
    let mut command = oneloop();
    command.args(["serve", "--workers=3"]);
    for option in listen {
        let (name, url) = option.split_once('=').unwrap();
        command.args([name, url]);
    }
    let server = Server::start_command(command);
    assert!(server.listening()[0].starts_with("tcp://127.0.0.2:"), "{:?}", server.listening());
    assert!(server.listening()[1].starts_with("udp://127.0.0.1:"), "{:?}", server.listening());
    exchange(&mut connect(server.addresses()[0]), b"a", b"a");
    exchange(&mut connect(server.addresses()[2]), b"b", b"b");
    // One sender's datagrams all go to one worker; each of them answers.
    for _ in 0..8 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(b"c", server.addresses()[1]).unwrap();
        let mut answer = [0; 8];
        assert_eq!(socket.recv_from(&mut answer).unwrap(), (1, server.addresses()[1]));
    }
    let ended = server.stop();
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(0), 0), "{}", ended.stderr);
}

#[test]
fn the_parent_has_no_socket_of_the_group_and_children_have_nothing_of_the_parents() {
    let server = Server::start(&["--workers=2"]);
    let workers = children(server.pid());
    assert_eq!(workers.len(), 2);
    let sockets = |pid: Pid| -> BTreeSet<String> {
        let folder = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).expect("it runs");
        let links = folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links
            .map(|link| link.to_string_lossy().into_owned())
            .filter(|link| link.starts_with("socket:"))
            .collect()
    };
    let table = fs::read_to_string("/proc/net/tcp").expect("proc(5)");
    let port = format!(":{:04X} ", server.address().port());
    let listening: Vec<String> = table
        .lines()
        .filter(|line| line.contains(&port) && line.contains(" 0A "))
        .map(|line| format!("socket:[{}]", line.split_whitespace().nth(9).expect("the inode")))
        .collect();
    assert_eq!(listening.len(), 2, "{table}");
    let parents = sockets(server.pid());
    assert!(listening.iter().all(|socket| !parents.contains(socket)), "{parents:?} {listening:?}");
    for (at, worker) in workers.iter().enumerate() {
        let own = sockets(*worker);
        assert_eq!(own.intersection(&parents).count(), 0, "{own:?} {parents:?}");
        assert_eq!(listening.iter().filter(|socket| own.contains(*socket)).count(), 1);
        assert_eq!(own.intersection(&sockets(workers[1 - at])).count(), 0);
    }
}

#[test]
fn a_second_signal_ends_everybody_at_once_with_its_number() {
    for (second, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let server = Server::start(&["greet", "--delay=1h", "--workers=2"]);
        let mut client = server.connect();
        client.write_all(b"A").unwrap();
        // Whichever worker has it: one of the two answers says that its message was taken.
        let until = Instant::now() + PATIENCE;
        while !server.log().contains("frames=1") {
            assert!(Instant::now() < until);
            let seen = server.log().lines().filter(|line| line.contains("stats ")).count();
            server.signal(Signal::USR1);
            server.wait_logs("stats ", seen + 2);
        }
        server.signal(Signal::TERM);
        server.wait_logs("draining", 2);
        server.signal(second);
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        let passed = ended.stderr.lines().filter(|line| line.contains("passing a signal on")).count();
        assert_eq!(passed, 2, "{}", ended.stderr);
    }
}

#[test]
fn a_worker_that_dies_is_named_and_the_others_drain_with_1() {
    let server = Server::start(&["--workers=3"]);
    let mut clients = connect_to_all(&server, 3);
    let victim = children(server.pid())[1];
    kill_process(victim, Signal::KILL).unwrap();
    server.wait_log("worker ended unexpectedly");
    // Those of the others end properly; the victim's are cut off by the kernel.
    for client in &mut clients {
        let _ = std::io::copy(client, &mut std::io::sink());
    }
    drop(clients);
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let drained = ended.stderr.lines().filter(|line| line.contains("stopped open=0")).count();
    assert_eq!(drained, 2, "{}", ended.stderr);
    let message = ended.stderr.lines().find(|line| line.starts_with("oneloop: ")).expect("a message");
    assert!(message.contains("worker 1") && message.contains("signal: 9"), "{message}");
}

#[test]
fn no_worker_outlives_its_parent() {
    let server = Server::start(&["--workers=2"]);
    let workers = children(server.pid());
    assert_eq!(workers.len(), 2);
    server.signal(Signal::KILL);
    for worker in workers {
        wait_gone(worker);
    }
    assert_eq!(server.wait().status.signal(), Some(9));
}

#[test]
fn a_terminals_signal_reaches_workers_through_the_parent_only() {
    let server = Server::start(&["--workers=2"]);
    for worker in children(server.pid()) {
        let group = rustix::process::getpgid(Some(worker)).unwrap();
        assert_eq!(group, worker, "a process group of its own");
    }
}

#[test]
fn a_port_that_somebody_has_is_refused_as_by_one_process_even_if_it_could_be_shared() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = Server::start(&["--workers=2"]);
    for address in [taken.local_addr().unwrap(), other.address()] {
        let mut command = oneloop();
        command.args(["serve", "--workers=2", "--listen", &format!("tcp://{address}")]);
        let ended = run(command);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert_eq!(ended.stdout, [""; 0]);
        let complaints: Vec<&str> =
            ended.stderr.lines().filter(|line| line.starts_with("oneloop: ")).collect();
        assert_eq!(complaints.len(), 1, "{}", ended.stderr);
        assert!(complaints[0].contains(&format!("cannot listen on tcp://{address}")), "{}", complaints[0]);
    }
}

#[test]
fn once_that_exits_by_itself_ends_all_workers_with_0() {
    let server = Server::start(&["once", "--then-exit", "--workers=2"]);
    exchange(&mut server.connect(), b"X", b"Hello Lyon");
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn other_models_have_workers_too() {
    for model in ["threads", "iterative", "spin"] {
        let server = Server::start(&["--workers=2", "--model", model]);
        exchange(&mut server.connect(), b"hello", b"hello");
        let ended = server.stop();
        assert_eq!(ended.status.code(), Some(0), "{model}: {}", ended.stderr);
    }
}

#[test]
fn nobody_but_oneloop_makes_a_worker() {
    let mut command = oneloop();
    command.args(["--fleet-member", "0:1", "serve"]);
    let ended = run(command);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("--fleet-member"), "{}", ended.stderr);
}

/// The flags of a descriptor (proc_pid_fdinfo(5)), if it is open.
fn flags_of(pid: Pid, descriptor: i32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{}/fdinfo/{descriptor}", pid.as_raw_nonzero())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

/// O_CLOEXEC, as the kernel shows it.
const CLOSE_ON_EXEC: u32 = 0o2_000_000;

#[test]
fn what_was_left_open_for_us_is_closed_on_exec_and_no_child_has_it() {
    let mut command = Command::new("sh");
    let script = "exec 7</dev/null 8>/dev/null && exec \"$0\" serve \"$@\"";
    command.env_remove("RUST_LOG").args(["-c", script, env!("CARGO_BIN_EXE_oneloop"), "--workers=2"]);
    command.args(["--listen", "tcp://127.0.0.1:0"]);
    let server = Server::start_command(command);
    for descriptor in [7, 8] {
        let flags = flags_of(server.pid(), descriptor).expect("the shell left it open");
        assert_eq!(flags & CLOSE_ON_EXEC, CLOSE_ON_EXEC, "descriptor {descriptor}: {flags:o}");
    }
    let is_null = |worker: &Pid, descriptor: &String| {
        let link = fs::read_link(format!("/proc/{}/fd/{descriptor}", worker.as_raw_nonzero()));
        link.is_ok_and(|link| link == *"/dev/null")
    };
    let workers = children(server.pid());
    assert_eq!(workers.len(), 2);
    for worker in &workers {
        let folder = fs::read_dir(format!("/proc/{}/fd", worker.as_raw_nonzero())).expect("it runs");
        let numbers = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let nulls: Vec<String> = numbers.filter(|number| is_null(worker, number)).collect();
        // Its own reserve descriptor is one.
        assert!(nulls.len() <= 1, "{nulls:?}");
    }
    // Everything that a server has itself is marked too, but for the standard streams.
    for pid in workers.iter().chain([&server.pid()]) {
        let folder = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).expect("it runs");
        let numbers = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        for descriptor in numbers.filter(|number| *number > 2) {
            let flags = flags_of(*pid, descriptor).expect("it is open");
            assert_eq!(flags & CLOSE_ON_EXEC, CLOSE_ON_EXEC, "descriptor {descriptor}: {flags:o}");
        }
    }
}
