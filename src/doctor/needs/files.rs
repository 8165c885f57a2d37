//! Descriptors: of one process, of the system, and in polls.

use super::{Case, DESCRIPTOR_RESERVE, left, rounded_up, setting, setting_used};
use crate::doctor::check::{Check, Effect, Limit, Verdict};
use crate::doctor::machine::UNLIMITED;
use crate::doctor::number::{grouped, less, several, times};
use crate::doctor::question::Model;

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    vec![descriptors(case), system_files(case), epoll_watches(case)]
}

fn descriptors(case: &Case<'_>) -> Check {
    let (question, files) = (case.question, &case.machine.files);
    let client = question.connections.div_ceil(case.processes.client.max(1));
    let server = question.streams().div_ceil(case.processes.server.max(1));
    let here = |is_here: bool, share: u64| if is_here { share } else { 0 };
    let share = here(question.role.has_client(), client).max(here(question.role.has_server(), server));
    let needed = share.saturating_add(DESCRIPTOR_RESERVE);
    let room = files.hard.map(|hard| less(hard, DESCRIPTOR_RESERVE));
    // Who takes as many processes as are needed is not stopped here.
    let most = match question.processes {
        None if room != Some(0) => room.map(|_| UNLIMITED),
        None => room,
        Some(_) => case.enough_for(room, share),
    };
    let check = Check::new(Limit::Descriptors, Effect::Stops, needed, files.hard, most);
    // Beyond what one process may have: on the side where most are.
    let crowd = here(question.role.has_client(), question.connections)
        .max(here(question.role.has_server(), question.streams()));
    let spreads = question.processes.is_none() && room.is_some_and(|room| crowd > room);
    let check = if spreads && check.verdict == Verdict::Ok { check.judged(Verdict::Tight) } else { check };
    let check = check.saying(setting("RLIMIT_NOFILE (hard)", files.hard), why(case, spreads));
    with_remedies(case, check, room)
}

fn why(case: &Case<'_>, spreads: bool) -> String {
    let mut text = format!(
        "One for each connection, and {DESCRIPTOR_RESERVE} for the process itself. Beyond it socket(2) and accept(2) fail \
         with EMFILE."
    );
    let files = &case.machine.files;
    if let (Some(soft), Some(hard)) = (files.soft, files.hard)
        && soft < hard
    {
        text += &format!(
            " The soft limit is {}; the program raises it to the hard one by itself.",
            grouped(soft)
        );
    }
    if spreads {
        text +=
            &format!(" So many connections take {}.", several(case.processes.most(), "process", "processes"));
    }
    let who = &case.machine.privileges;
    if who.is_root && !who.may_raise_limits {
        text += " Root has no CAP_SYS_RESOURCE here, so not even root can raise it from inside.";
    }
    text
}

fn with_remedies(case: &Case<'_>, check: Check, room: Option<u64>) -> Check {
    let (question, files) = (case.question, &case.machine.files);
    let Some(room) = room.filter(|room| *room > 0 && *room != UNLIMITED) else { return check };
    let mut check = check;
    let workers = question.streams().div_ceil(room).max(case.processes.server);
    if question.role.has_server() && workers > 1 {
        check = check.without_root(format!("serve --workers {workers}"), Some(times(room, workers)));
    }
    let clients = question.connections.div_ceil(room).max(case.processes.client);
    if question.role.has_client() && clients > 1 {
        let action = "hold, which starts as many processes as it takes by itself";
        check = check.without_root(action, Some(times(room, clients)));
    }
    let given = question.processes.unwrap_or(1).max(1);
    let wanted = rounded_up(question.connections.div_ceil(given).saturating_add(DESCRIPTOR_RESERVE));
    let nr_open = match files.nr_open {
        Some(nr_open) if nr_open < wanted => format!("sysctl -w fs.nr_open={wanted} && "),
        _ => String::new(),
    };
    check.with_root(format!("{nr_open}ulimit -n {wanted}"), Some(times(wanted - DESCRIPTOR_RESERVE, given)))
}

fn system_files(case: &Case<'_>) -> Check {
    let files = &case.machine.files;
    let own = case.processes.total().saturating_mul(DESCRIPTOR_RESERVE);
    let sockets = case.question.sockets();
    let needed = sockets.saturating_add(own);
    let there = left(files.system, files.system_used);
    let most = case.enough_for(there.map(|there| less(there, own)), sockets);
    let wanted = rounded_up(needed.saturating_add(files.system_used.unwrap_or(0)));
    Check::new(Limit::SystemFiles, Effect::Stops, needed, there, most)
        .saying(
            setting_used("fs.file-max", files.system, files.system_used),
            "One for each socket of both sides that is here. Beyond it socket(2) and accept(2) fail with ENFILE.",
        )
        .with_root(format!("sysctl -w fs.file-max={wanted}"), None)
}

fn epoll_watches(case: &Case<'_>) -> Check {
    let question = case.question;
    let polled = question.role.has_server() && question.model == Model::Loop;
    let server = if polled { question.streams() } else { 0 };
    let client = if question.role.has_client() { question.connections } else { 0 };
    let needed = client.saturating_add(server);
    let there = case.machine.files.epoll_watches;
    Check::new(Limit::EpollWatches, Effect::Stops, needed, there, case.enough_for(there, needed))
        .saying(
            setting("fs.epoll.max_user_watches", there),
            "One for each socket in a poll, counted for each user. Beyond it epoll_ctl(2) fails with ENOSPC.",
        )
        .with_root(format!("sysctl -w fs.epoll.max_user_watches={}", rounded_up(needed)), None)
}
