//! Threads: what a server needs that has one for each connection.

use super::{Case, MAX_THREADS, left, rounded_up, setting, setting_used};
use crate::doctor::check::{Check, Effect, Limit, Verdict};
use crate::doctor::machine::{Machine, UNLIMITED};
use crate::doctor::number::{less, times};
use crate::doctor::question::Model;

/// Threads of a server beside those of connections: main, listener, supervisor, signals.
const OWN_THREADS: u64 = 4;

/// Mappings of one thread: its stack and that of its signals, each with a guard page (2,000 threads of
/// `serve --model threads` had 8,032).
const MAPPINGS: u64 = 4;

/// Mappings of the process itself: 36 in an idle server.
const OWN_MAPPINGS: u64 = 64;

/// Threads that one process has mappings for.
pub(super) fn threads_per_process(machine: &Machine) -> Option<u64> {
    machine.tasks.mappings.map(|most| less(most, OWN_MAPPINGS) / MAPPINGS)
}

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    let question = case.question;
    if question.model != Model::Threads || !question.role.has_server() || question.streams() == 0 {
        return Vec::new();
    }
    let tasks = &case.machine.tasks;
    let mut checks = vec![
        own_threads(case),
        mappings(case),
        system(case, Limit::Threads, "kernel.threads-max", tasks.threads_max),
        system(case, Limit::Pids, "kernel.pid_max", tasks.pid_max),
        others(case, Limit::CgroupTasks, "pids.max of the control group", tasks.cgroup_room)
            .with_root("a higher pids.max of the control group (systemd: TasksMax=)", None),
    ];
    // Root is not counted (getrlimit(2)).
    if !case.machine.privileges.is_root {
        let check = others(case, Limit::UserTasks, "RLIMIT_NPROC", tasks.user);
        checks.push(check.with_root(format!("ulimit -u {}", rounded_up(needed(case))), None));
    }
    checks
        .into_iter()
        .map(|check| check.without_root("serve --model loop: one thread for all", None))
        .collect()
}

fn needed(case: &Case<'_>) -> u64 {
    case.question.streams().saturating_add(OWN_THREADS.saturating_mul(case.processes.server))
}

/// Per process. Who takes as many processes as are needed is not stopped here.
fn most(case: &Case<'_>, threads: Option<u64>) -> Option<u64> {
    match case.question.processes {
        None => threads.map(|_| UNLIMITED),
        Some(_) => {
            let all = times(threads?, case.processes.server);
            case.enough_for(Some(all), case.question.streams())
        }
    }
}

fn own_threads(case: &Case<'_>) -> Check {
    let share = case.question.streams().div_ceil(case.processes.server.max(1));
    let streams = case.question.streams();
    let workers = streams.div_ceil(MAX_THREADS).max(case.processes.server);
    let spreads = case.question.processes.is_none() && streams > MAX_THREADS;
    let check =
        Check::new(Limit::OwnThreads, Effect::Stops, share, Some(MAX_THREADS), most(case, Some(MAX_THREADS)));
    let check = if spreads { check.judged(Verdict::Tight) } else { check };
    check
        .saying(
            setting("serve --model threads, each process", Some(MAX_THREADS)),
            "One for each connection. Beyond it newcomers wait until others end.",
        )
        .without_root(format!("serve --model threads --workers {workers}"), Some(times(MAX_THREADS, workers)))
}

fn mappings(case: &Case<'_>) -> Check {
    let there = case.machine.tasks.mappings;
    let share = case.question.streams().div_ceil(case.processes.server.max(1));
    let needed = share.saturating_mul(MAPPINGS).saturating_add(OWN_MAPPINGS);
    Check::new(Limit::Mappings, Effect::Stops, needed, there, most(case, threads_per_process(case.machine)))
        .saying(
            setting("vm.max_map_count", there),
            "Four for each thread: its stack and that of its signals, each with a guard. Beyond it no thread starts, and \
             the connection is closed.",
        )
        .with_root(format!("sysctl -w vm.max_map_count={}", rounded_up(needed)), None)
}

fn system(case: &Case<'_>, limit: Limit, name: &str, value: Option<u64>) -> Check {
    let running = case.machine.tasks.running;
    let wanted = rounded_up(needed(case).saturating_add(running.unwrap_or(0)));
    others(case, limit, &setting_used(name, value, running), left(value, running))
        .with_root(format!("sysctl -w {name}={wanted}"), None)
}

fn others(case: &Case<'_>, limit: Limit, setting: &str, there: Option<u64>) -> Check {
    let own = OWN_THREADS.saturating_mul(case.processes.server);
    let most = case.enough_for(there.map(|there| less(there, own)), case.question.streams());
    Check::new(limit, Effect::Stops, needed(case), there, most).saying(
        setting,
        "One for each connection. Beyond it clone(2) fails with EAGAIN, and the connection is closed.",
    )
}
