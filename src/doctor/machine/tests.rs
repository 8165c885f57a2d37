//! Machines made of files.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A root with files below it, removed at the end.
struct Root(PathBuf);

impl Root {
    fn of(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("oneloop-doctor-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = Self(std::env::temp_dir().join(name));
        for (path, text) in files {
            let path = root.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn read(&self) -> Machine {
        Machine::read_at(&self.0)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max processes             96365                96365                processes 
Max open files            1024                 20000                files     
";

const SOCKSTAT: &str = "\
sockets: used 19
TCP: inuse 7 orphan 0 tw 3 alloc 9 mem 256
UDP: inuse 0 mem 84
UDPLITE: inuse 0
";

#[test]
fn a_machine_without_files_is_unknown() {
    assert_eq!(Root::of(&[]).read(), Machine::default());
}

#[test]
fn files_that_nobody_understands_are_unknown() {
    let root = Root::of(&[
        ("proc/self/limits", "Max open files\n"),
        ("proc/sys/net/core/somaxconn", "many\n"),
        ("proc/sys/net/ipv4/ip_local_port_range", "1 99999\n"),
        ("proc/sys/net/ipv4/tcp_mem", "1 2\n"),
        ("proc/loadavg", "0.0\n"),
        ("proc/meminfo", "MemAvailable:\n"),
        ("proc/self/cgroup", "nonsense\n0::\n"),
        ("proc/self/status", "CapEff:\tzz\nUid:\n"),
    ]);
    assert_eq!(root.read(), Machine::default());
}

#[test]
fn limits_of_files_and_tasks() {
    let root = Root::of(&[
        ("proc/self/limits", LIMITS),
        ("proc/sys/fs/nr_open", "1048576\n"),
        ("proc/sys/fs/file-max", "9223372036854775807\n"),
        ("proc/sys/fs/file-nr", "583\t0\t2466170\n"),
        ("proc/loadavg", "44.15 85.25 66.86 6/105 17985\n"),
        ("proc/sys/kernel/pid_max", "32768\n"),
        (
            "proc/self/status",
            "Name:\tx\nUid:\t1000\t0\t0\t0\nCapEff:\t0000000001001000\nCpus_allowed_list:\t0-1,4\n",
        ),
    ]);
    let machine = root.read();
    assert_eq!((machine.files.soft, machine.files.hard), (Some(1_024), Some(20_000)));
    assert_eq!((machine.files.nr_open, machine.files.system_used), (Some(1_048_576), Some(583)));
    assert_eq!((machine.tasks.user, machine.tasks.running), (Some(96_365), Some(105)));
    assert_eq!((machine.tasks.pid_max, machine.tasks.threads_max), (Some(32_768), None));
    assert_eq!(machine.cpus, Some(3));
    let all = Privileges { is_root: true, may_raise_limits: true, may_force_buffers: true };
    assert_eq!(machine.privileges, all);
}

#[test]
fn an_unlimited_resource_is_no_limit() {
    let root = Root::of(&[("proc/self/limits", "Max open files            1024    unlimited  files\n")]);
    assert_eq!(root.read().files.hard, Some(UNLIMITED));
}

#[test]
fn sockets_in_use_and_their_limits() {
    let root = Root::of(&[
        ("proc/net/sockstat", SOCKSTAT),
        ("proc/sys/net/ipv4/tcp_mem", "287898\t383867\t575796\n"),
        ("proc/sys/net/ipv4/tcp_syncookies", "1\n"),
        ("proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
        ("proc/sys/net/netfilter/nf_conntrack_count", "12\n"),
    ]);
    let sockets = root.read().sockets;
    assert_eq!(sockets.tcp, Pages { max: Some(575_796), used: Some(256) });
    assert_eq!(sockets.udp, Pages { max: None, used: Some(84) });
    assert_eq!((sockets.tcp_used, sockets.time_wait), (Some(7), Some(3)));
    assert_eq!((sockets.conntrack_max, sockets.conntrack_used), (Some(262_144), Some(12)));
    assert_eq!(sockets.has_syncookies, Some(true));
}

#[test]
fn reserved_ports_count_where_they_are_in_the_range() {
    for (reserved, count) in
        [("\n", 28_232), ("8080,32768-32777,60999-61005\n", 28_221), ("1-65535\n", 0), ("9,x,5-4\n", 28_232)]
    {
        let root = Root::of(&[
            ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
            ("proc/sys/net/ipv4/ip_local_reserved_ports", reserved),
        ]);
        assert_eq!(root.read().ports.count(), Some(count), "{reserved}");
    }
}

#[test]
fn the_tightest_group_counts_in_version_2() {
    let root = Root::of(&[
        ("proc/self/cgroup", "0::/a/b\n"),
        ("sys/fs/cgroup/a/b/pids.max", "max\n"),
        ("sys/fs/cgroup/a/pids.max", "1000\n"),
        ("sys/fs/cgroup/a/pids.current", "200\n"),
        ("sys/fs/cgroup/a/b/memory.max", "1000000\n"),
        ("sys/fs/cgroup/a/b/memory.current", "600000\n"),
        ("sys/fs/cgroup/a/b/memory.stat", "anon 1\ninactive_file 100000\n"),
        ("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:   10000 kB\n"),
    ]);
    let machine = root.read();
    assert_eq!(machine.tasks.cgroup_room, Some(800));
    assert_eq!(machine.memory.cgroup_room, Some(500_000));
    assert_eq!((machine.memory.available, machine.memory.room()), (Some(10_240_000), Some(500_000)));
}

#[test]
fn version_1_and_a_group_that_cannot_be_seen() {
    let root = Root::of(&[
        ("proc/self/cgroup", "8:cpu,pids:/\n4:memory:/docker/abc\n0::/\n"),
        ("sys/fs/cgroup/pids/pids.max", "500\n"),
        ("sys/fs/cgroup/pids/pids.current", "20\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
    ]);
    let machine = root.read();
    assert_eq!(machine.tasks.cgroup_room, Some(480));
    assert_eq!(machine.memory.cgroup_room, Some(UNLIMITED));
}

#[test]
fn this_machine_can_be_read() {
    let machine = Machine::read();
    if cfg!(target_os = "linux") {
        assert!(machine.files.hard.is_some() && machine.ports.count().is_some(), "{machine:?}");
    }
}
