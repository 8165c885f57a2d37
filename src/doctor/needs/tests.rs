//! Made-up machines, and what they are enough for.

use super::*;
use crate::doctor::check::{Limit, Verdict};
use crate::doctor::machine::{Files, Memory, Pages, Ports, Privileges, Sockets, Tasks};
use crate::doctor::question::{Role, Targets};

/// A small server as it comes: everything is known, nothing is raised.
fn machine() -> Machine {
    Machine {
        release: Some("6.18.0".to_owned()),
        cpus: Some(2),
        privileges: Privileges::default(),
        files: Files {
            soft: Some(1_024),
            hard: Some(20_000),
            nr_open: Some(1_048_576),
            system: Some(2_466_170),
            system_used: Some(1_000),
            epoll_watches: Some(5_000_000),
        },
        ports: Ports { range: Some((32_768, 60_999)), reserved: 0 },
        sockets: Sockets {
            somaxconn: Some(4_096),
            syn_backlog: Some(2_048),
            has_syncookies: Some(true),
            rmem_max: Some(212_992),
            tcp: Pages { max: Some(575_796), used: Some(256) },
            udp: Pages { max: Some(1_151_598), used: Some(84) },
            tcp_used: Some(1),
            time_wait: Some(0),
            time_wait_max: Some(131_072),
            time_wait_reuse: Some(2),
            conntrack_max: None,
            conntrack_used: None,
        },
        tasks: Tasks {
            threads_max: Some(192_730),
            pid_max: Some(32_768),
            running: Some(105),
            mappings: Some(65_530),
            user: Some(96_365),
            cgroup_room: Some(UNLIMITED),
        },
        memory: Memory { available: Some(24 << 30), cgroup_room: Some(UNLIMITED) },
    }
}

fn asked(connections: u64, change: impl FnOnce(&mut Question)) -> Question {
    let mut question = Question::new(connections);
    change(&mut question);
    question
}

#[track_caller]
fn find(machine: &Machine, question: &Question, limit: Limit) -> Check {
    let checks = Case::new(machine, question).checks();
    checks.into_iter().find(|check| check.limit == limit).unwrap_or_else(|| panic!("no check of {limit:?}"))
}

fn limits(question: &Question) -> Vec<Limit> {
    Case::new(&machine(), question).checks().iter().map(|check| check.limit).collect()
}

fn actions(check: &Check) -> Vec<&str> {
    let Check { remedies, .. } = check;
    remedies.without_root.iter().chain(&remedies.with_root).map(|remedy| remedy.action.as_str()).collect()
}

#[test]
fn a_small_number_is_no_problem_at_all() {
    for check in Case::new(&machine(), &Question::new(1_000)).checks() {
        assert_eq!(check.verdict, Verdict::Ok, "{check:?}");
        assert!(check.remedies.without_root.is_empty() && check.remedies.with_root.is_empty(), "{check:?}");
        assert!(!check.setting.is_empty() && check.why.ends_with('.'), "{check:?}");
    }
}

#[test]
fn every_check_that_is_not_well_has_something_to_do() {
    let mut machine = machine();
    machine.sockets.conntrack_max = Some(10);
    machine.sockets.conntrack_used = Some(1);
    machine.sockets.has_syncookies = Some(false);
    machine.sockets.somaxconn = Some(128);
    for model in [Model::Loop, Model::Threads] {
        let question = asked(100_000_000, |question| {
            question.model = model;
            question.targets = Targets { tcp: 1, udp: 1, unix: 1, is_loopback: true };
        });
        for check in Case::new(&machine, &question).checks() {
            let has = !actions(&check).is_empty();
            assert!(has || matches!(check.verdict, Verdict::Ok | Verdict::Unknown), "{check:?}");
        }
    }
}

#[test]
fn pairs_of_ports_are_sources_times_targets_times_the_range() {
    for (sources, targets, there) in [
        (None, 1, 28_232),
        (Some(1), 1, 28_232),
        (Some(2), 1, 56_464),
        (None, 3, 84_696),
        (Some(2), 3, 169_392),
    ] {
        let question = asked(100, |question| {
            question.sources = sources;
            question.targets.tcp = targets;
        });
        let check = find(&machine(), &question, Limit::TcpPorts);
        assert_eq!((check.there, check.most), (Some(there), Some(there)), "{sources:?} x {targets}");
    }
}

#[test]
fn reserved_ports_are_not_there() {
    let mut machine = machine();
    machine.ports = Ports { range: Some((1_000, 1_099)), reserved: 10 };
    let check = find(&machine, &Question::new(91), Limit::TcpPorts);
    assert_eq!((check.there, check.verdict), (Some(90), Verdict::Stops));
    assert!(check.why.contains("(10 reserved)"), "{}", check.why);
}

#[test]
fn ports_are_raised_by_sources_targets_and_a_wider_range() {
    let check = find(&machine(), &Question::new(100_000), Limit::TcpPorts);
    assert_eq!(check.verdict, Verdict::Stops);
    assert_eq!(check.remedies.without_root[0].action, "--source 127.0.0.2-127.0.0.5");
    assert_eq!(check.remedies.without_root[0].most, Some(112_928));
    assert!(check.remedies.without_root[1].action.starts_with("4 different targets"), "{check:?}");
    assert_eq!(check.remedies.with_root[0].action, "sysctl -w net.ipv4.ip_local_port_range='1024 65535'");
    assert_eq!(check.remedies.with_root[0].most, Some(64_512));
}

#[test]
fn the_sources_that_are_proposed_are_enough() {
    for (connections, last) in [(28_233, "127.0.0.3"), (10_000_000, "127.0.1.100")] {
        let question = asked(connections, |_| ());
        let check = find(&machine(), &question, Limit::TcpPorts);
        let remedy = &check.remedies.without_root[0];
        assert_eq!(remedy.action, format!("--source 127.0.0.2-{last}"));
        assert!(remedy.most >= Some(connections), "{remedy:?}");
    }
}

#[test]
fn elsewhere_addresses_have_to_be_added_by_root() {
    let question = asked(100_000, |question| question.targets.is_loopback = false);
    let check = find(&machine(), &question, Limit::TcpPorts);
    assert!(!actions(&check).iter().any(|action| action.starts_with("--source")), "{check:?}");
    assert!(actions(&check).iter().any(|action| action.contains("4 addresses in all")), "{check:?}");
}

#[test]
fn udp_sockets_share_no_port_whatever_the_targets() {
    let question = asked(30_000, |question| {
        question.targets = Targets { tcp: 0, udp: 5, unix: 0, is_loopback: true };
    });
    let check = find(&machine(), &question, Limit::UdpPorts);
    assert_eq!((check.there, check.verdict), (Some(28_232), Verdict::Stops));
}

#[test]
fn unix_sockets_need_no_ports_and_servers_neither() {
    let unix = asked(1_000_000, |question| {
        question.targets = Targets { tcp: 0, udp: 0, unix: 1, is_loopback: true }
    });
    let server = asked(1_000_000, |question| question.role = Role::Server);
    for question in [unix, server] {
        let limits = limits(&question);
        assert!(!limits.contains(&Limit::TcpPorts) && !limits.contains(&Limit::UdpPorts), "{limits:?}");
    }
}

#[test]
fn connections_that_are_shared_among_kinds_count_for_each() {
    let question = asked(50_000, |question| {
        question.targets = Targets { tcp: 1, udp: 0, unix: 1, is_loopback: true };
    });
    let check = find(&machine(), &question, Limit::TcpPorts);
    assert_eq!((check.needed, check.most, check.verdict), (25_000, Some(56_464), Verdict::Ok));
}

#[test]
fn descriptors_do_not_stop_who_takes_more_processes() {
    let question = asked(100_000, |question| question.role = Role::Server);
    assert_eq!(Case::new(&machine(), &question).processes, Processes { client: 0, server: 6 });
    let check = find(&machine(), &question, Limit::Descriptors);
    assert_eq!((check.needed, check.most, check.verdict), (16_731, Some(UNLIMITED), Verdict::Tight));
    assert!(check.why.contains("take 6 processes"), "{}", check.why);
    assert_eq!(check.remedies.without_root[0].action, "serve --workers 6");
    assert_eq!(check.remedies.with_root[0].action, "ulimit -n 110000");
}

#[test]
fn descriptors_stop_who_has_one_process() {
    for (processes, connections, verdict, most) in [
        (1, 19_937, Verdict::Stops, 19_936),
        (1, 10_000, Verdict::Ok, 19_936),
        (2, 39_872, Verdict::Tight, 39_872),
        (2, 39_873, Verdict::Stops, 39_872),
    ] {
        let question = asked(connections, |question| question.processes = Some(processes));
        let check = find(&machine(), &question, Limit::Descriptors);
        assert_eq!(check.verdict, verdict, "{connections} in {processes}");
        assert!(check.most.is_some_and(|got| got.abs_diff(most) <= 2), "{connections}: {:?}", check.most);
    }
}

#[test]
fn root_without_the_capability_is_told_so() {
    let mut machine = machine();
    machine.privileges.is_root = true;
    let check = find(&machine, &asked(100_000, |q| q.processes = Some(1)), Limit::Descriptors);
    assert!(check.why.contains("CAP_SYS_RESOURCE"), "{check:?}");
    machine.privileges.may_raise_limits = true;
    machine.files.nr_open = Some(50_000);
    let check = find(&machine, &asked(100_000, |q| q.processes = Some(1)), Limit::Descriptors);
    assert_eq!(check.remedies.with_root[0].action, "sysctl -w fs.nr_open=110000 && ulimit -n 110000");
    assert!(!check.why.contains("CAP_SYS_RESOURCE"), "{check:?}");
}

#[test]
fn the_system_has_a_file_for_each_end() {
    let mut machine = machine();
    (machine.files.system, machine.files.system_used) = (Some(21_128), Some(1_000));
    let check = find(&machine, &Question::new(10_000), Limit::SystemFiles);
    assert_eq!((check.needed, check.there, check.most), (20_128, Some(20_128), Some(10_000)));
    assert_eq!(find(&machine, &Question::new(10_001), Limit::SystemFiles).verdict, Verdict::Stops);
}

#[test]
fn memory_counts_both_ends_the_processes_and_the_model() {
    let mut machine = machine();
    machine.memory = Memory { available: Some(1 << 30), cgroup_room: Some(120 << 20) };
    let question = asked(10_000, |_| ());
    let check = find(&machine, &question, Limit::Memory);
    assert_eq!(check.needed, 10_000 * (4_200 + 4_200 + 300 + 72) + 2 * (4 << 20));
    assert_eq!((check.there, check.verdict), (Some(120 << 20), Verdict::Ok));
    assert_eq!(check.most, Some((112 << 20) * 10_000 / 87_720_000));
    let threads = asked(10_000, |question| question.model = Model::Threads);
    let check = find(&machine, &threads, Limit::Memory);
    assert_eq!(check.verdict, Verdict::Stops);
    assert!(actions(&check)[0].contains("--model loop"), "{check:?}");
    assert!(actions(&check).iter().any(|action| action.contains("memory.max")), "{check:?}");
}

#[test]
fn memory_is_enough_for_some_however_many_are_asked_for() {
    let enough = |connections| find(&machine(), &asked(connections, |_| {}), Limit::Memory).most.unwrap();
    let (few, many) = (enough(20_000), enough(100_000_000));
    assert!(many > 2_000_000 && many < few, "{many} {few}");
}

#[test]
fn a_udp_server_has_one_socket_for_all() {
    let question = asked(1_000_000, |question| {
        question.role = Role::Server;
        question.targets = Targets { tcp: 0, udp: 1, unix: 0, is_loopback: true };
    });
    assert_eq!(find(&machine(), &question, Limit::Memory).needed, 4 << 20);
    assert_eq!(find(&machine(), &question, Limit::Descriptors).needed, DESCRIPTOR_RESERVE);
    let check = find(&machine(), &question, Limit::UdpBuffer);
    assert_eq!((check.there, check.verdict), (Some(380), Verdict::Tight));
}

#[test]
fn a_crowd_waits_and_is_not_stopped() {
    let mut machine = machine();
    assert_eq!(find(&machine, &Question::new(100_000), Limit::AcceptQueue).verdict, Verdict::Ok);
    machine.sockets.somaxconn = Some(128);
    let check = find(&machine, &Question::new(100_000), Limit::AcceptQueue);
    assert_eq!((check.needed, check.verdict), (4_096, Verdict::Tight));
    assert_eq!(check.remedies.with_root[0].action, "sysctl -w net.core.somaxconn=4096");
    assert_eq!(find(&machine, &Question::new(128), Limit::AcceptQueue).verdict, Verdict::Ok);
}

#[test]
fn the_handshake_queue_counts_without_cookies_only() {
    let mut machine = machine();
    for (has_syncookies, verdict) in [(Some(true), Verdict::Ok), (Some(false), Verdict::Tight)] {
        machine.sockets.has_syncookies = has_syncookies;
        assert_eq!(find(&machine, &Question::new(3_000), Limit::SynQueue).verdict, verdict);
    }
}

#[test]
fn a_firewall_that_follows_nothing_stops_nobody() {
    let mut machine = machine();
    assert!(!limits(&Question::new(10)).contains(&Limit::Conntrack));
    machine.sockets.conntrack_max = Some(5_000);
    for (used, verdict) in [(0, Verdict::Tight), (7, Verdict::Stops)] {
        machine.sockets.conntrack_used = Some(used);
        assert_eq!(
            find(&machine, &Question::new(10_000), Limit::Conntrack).verdict,
            verdict,
            "{used} in use"
        );
    }
}

#[test]
fn threads_need_numbers_mappings_and_room_in_their_group() {
    let threads = |connections, processes| {
        asked(connections, |question| (question.model, question.processes) = (Model::Threads, processes))
    };
    assert_eq!(find(&machine(), &threads(40_000, None), Limit::Pids).verdict, Verdict::Stops);
    assert_eq!(find(&machine(), &threads(40_000, None), Limit::Threads).verdict, Verdict::Ok);
    assert_eq!(find(&machine(), &threads(10_241, Some(1)), Limit::OwnThreads).verdict, Verdict::Stops);
    assert_eq!(Case::new(&machine(), &threads(10_241, None)).processes, Processes { client: 1, server: 2 });
    let mut machine = machine();
    machine.tasks.mappings = Some(OWN);
    assert_eq!(find(&machine, &threads(1_001, Some(1)), Limit::Mappings).verdict, Verdict::Stops);
    assert_eq!(Case::new(&machine, &threads(1_001, None)).processes.server, 2);
    machine.tasks.cgroup_room = Some(500);
    let check = find(&machine, &threads(1_000, None), Limit::CgroupTasks);
    assert_eq!((check.verdict, check.most), (Verdict::Stops, Some(496)));
    assert!(actions(&check).iter().any(|action| action.contains("--model loop")), "{check:?}");
}

/// Mappings of a process with 1,000 threads.
const OWN: u64 = 4_064;

#[test]
fn the_loop_needs_no_threads_and_root_has_no_limit_of_its_own() {
    assert!(!limits(&Question::new(1_000_000)).contains(&Limit::Pids));
    let threads = asked(10, |question| question.model = Model::Threads);
    assert!(limits(&threads).contains(&Limit::UserTasks));
    let mut machine = machine();
    machine.privileges.is_root = true;
    let checks = Case::new(&machine, &threads).checks();
    assert!(!checks.iter().any(|check| check.limit == Limit::UserTasks));
}

#[test]
fn numbers_in_commands_are_round_and_enough() {
    for (number, expected) in [(0, 0), (7, 7), (64, 64), (101, 110), (19_937, 20_000), (100_064, 110_000)] {
        assert_eq!(rounded_up(number), expected);
    }
}
