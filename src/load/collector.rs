//! Puts together what the threads of a run say.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use super::plan::{Arrival, Content, Plan};
use super::profile::Schedule;
use super::report::{Generator, Report, Second, Verdict};
use super::run::{Failure, Message, Stop};
use super::shared::{NEVER, nanos};
use super::statuses::{Http, Statuses};
use super::tally::{Tally, add};
use super::verdict::decide;
use super::worker::SECOND;
use crate::address::Address;
use crate::os::usage::ThreadTime;

/// The run starts so long after all threads are ready, so that all are there in time.
const LEAD: Duration = Duration::from_millis(2);

/// See the module.
pub(super) struct Collector<'a> {
    plan: &'a Plan,
    observe: &'a mut dyn FnMut(&Second),
    /// All that was counted, the measured time's part only where that makes a difference.
    total: Tally,
    /// Seconds not all threads have ended yet: what there is, and how many have.
    seconds: BTreeMap<u64, (Second, usize)>,
    /// Connections made before the start.
    made: u64,
    measured: usize,
    /// Of each thread that has finished: its last second, and its connections open then.
    gone: Vec<(u64, u64)>,
    due: u64,
    cpu: Duration,
    spun: Duration,
    busy: f64,
    start: u64,
    ended: u64,
}

impl<'a> Collector<'a> {
    pub(super) fn new(plan: &'a Plan, observe: &'a mut dyn FnMut(&Second)) -> Self {
        Self {
            plan,
            observe,
            total: Tally::new(),
            seconds: BTreeMap::new(),
            made: 0,
            measured: 0,
            gone: Vec::new(),
            due: 0,
            cpu: Duration::ZERO,
            spun: Duration::ZERO,
            busy: 0.0,
            start: 0,
            ended: 0,
        }
    }

    /// Listens until every thread has finished.
    pub(super) fn collect(
        mut self,
        told: &Receiver<Message>,
        starts: Vec<Sender<u64>>,
        origin: Instant,
        stop: &Stop,
    ) -> Result<Self, Failure> {
        let threads = starts.len();
        match self.await_connections(told, threads)? {
            Some(why) if !stop.is_stopped() => {
                return Err(self.nobody(&why));
            }
            _ => {}
        }
        self.start = u64::try_from((origin.elapsed() + LEAD).as_nanos()).unwrap_or(0);
        self.ended = self.start;
        for start in &starts {
            // A thread that has gone has said why.
            let _ = start.send(self.start);
        }
        while self.gone.len() < threads {
            match told.recv() {
                Ok(message) => self.take(message, threads)?,
                Err(_) => break,
            }
        }
        Ok(self)
    }

    /// Waits until every thread has tried its connections; says why there is not one, if so.
    fn await_connections(
        &mut self,
        told: &Receiver<Message>,
        threads: usize,
    ) -> Result<Option<String>, Failure> {
        let (mut ready, mut why) = (0, None);
        let mut open = vec![0; threads];
        while ready < threads {
            match told.recv() {
                Ok(Message::Opening { number, open: now }) => {
                    open[number] = now;
                    let second = Second { open: open.iter().sum(), ..empty(0, true) };
                    (self.observe)(&second);
                }
                Ok(Message::Opened { number, open: now, made, why_not }) => {
                    open[number] = now;
                    self.made += made;
                    why = why.or(why_not);
                    ready += 1;
                }
                Ok(Message::Failed(failure)) => return Err(failure),
                _ => break,
            }
        }
        Ok(why.filter(|_| open.iter().all(|open| *open == 0)))
    }

    fn nobody(&self, why: &str) -> Failure {
        let target = self.plan.targets.first().map_or_else(String::new, Address::to_string);
        if self.made > 0 {
            return Failure::NoneLeft { target, why: why.to_owned() };
        }
        // Which of them it was is of no interest where all are the same.
        let why = why.split_once("was not made: ").map_or(why, |(_, why)| why);
        Failure::NoConnection { target, why: why.to_owned() }
    }

    fn take(&mut self, message: Message, threads: usize) -> Result<(), Failure> {
        match message {
            Message::Opened { .. } | Message::Opening { .. } => {}
            Message::Piece { number, ends, tally, warmup } => {
                self.total.merge(&tally);
                self.add_piece(number, &tally);
                if let Some(warmup) = warmup {
                    self.total.in_time += warmup.in_time;
                    self.add_warmup(number, &warmup);
                }
                if ends {
                    self.end_second(number, tally.open, threads);
                }
            }
            Message::Measured { ended, wall, spent, spun } => {
                self.ended = self.ended.max(ended);
                self.measured += 1;
                self.note_spent(wall, &spent, spun);
            }
            Message::Finished { due, last, open } => {
                self.due += due;
                self.gone.push((last, open));
                self.show_ended(threads);
            }
            Message::Failed(failure) => return Err(failure),
        }
        Ok(())
    }

    fn add_piece(&mut self, number: u64, tally: &Tally) {
        let is_warmup = number * SECOND <= nanos(self.plan.warmup);
        let (second, _) = self.seconds.entry(number).or_insert_with(|| (empty(number, is_warmup), 0));
        second.requests += tally.requests;
        second.errors.merge(&tally.errors);
        add(&mut second.corrected, &tally.corrected);
        add(&mut second.service, &tally.service);
    }

    /// What was due in the warm-up is shown in its seconds only, so that the others add up to what was measured.
    fn add_warmup(&mut self, number: u64, tally: &Tally) {
        if number * SECOND <= nanos(self.plan.warmup) {
            self.add_piece(number, tally);
        }
    }

    /// A thread has ended this second; once all have, it is shown.
    fn end_second(&mut self, number: u64, open: u64, threads: usize) {
        let Some((second, ended)) = self.seconds.get_mut(&number) else { return };
        second.open += open;
        *ended += 1;
        self.show_ended(threads);
    }

    /// Shows every second that all threads have ended, or had finished before.
    fn show_ended(&mut self, threads: usize) {
        while let Some(entry) = self.seconds.first_entry() {
            let gone = self.gone.iter().filter(|(last, _)| last < entry.key());
            let (count, open) = gone.fold((0, 0), |(count, sum), (_, open)| (count + 1, sum + open));
            if entry.get().1 + count < threads {
                break;
            }
            let (mut second, _) = entry.remove();
            second.open += open;
            self.total.open = second.open;
            // What comes after the end is mostly nothing.
            let is_rest = self.measured == threads;
            if !is_rest || second.requests > 0 || second.errors.total() > 0 {
                (self.observe)(&second);
            }
        }
    }

    fn note_spent(&mut self, wall: Duration, spent: &ThreadTime, spun: Duration) {
        self.cpu += spent.cpu;
        self.spun += spun;
        if !wall.is_zero() {
            let busy = (spent.cpu + spent.waited).saturating_sub(spun).as_secs_f64() / wall.as_secs_f64();
            self.busy = self.busy.max(busy.min(1.0));
        }
    }

    /// When what is measured ends. Of a number of requests on a schedule not with the last answer, if that comes before the
    /// next request would have been due: eleven requests at 10/s take 1.1 s.
    fn offered_until(&self, stop: &Stop) -> Option<u64> {
        let (Arrival::Open(profile), Some(requests)) = (self.plan.arrival, self.plan.requests) else {
            return None;
        };
        let schedule = Schedule::new(profile, self.plan.warmup, self.plan.duration.unwrap_or_default());
        let until = schedule.slot(requests);
        let end = self.plan.duration.map_or(NEVER, |duration| nanos(self.plan.warmup + duration));
        (until < end && !stop.is_stopped()).then(|| self.start + until)
    }

    /// What was found.
    pub(super) fn report(self, stop: &Stop) -> Report {
        let until = self.offered_until(stop);
        let Self { plan, total, .. } = self;
        let from = self.start + nanos(plan.warmup);
        let since = |moment: u64| moment.saturating_sub(from) as f64 / SECOND as f64;
        let seconds = since(self.ended.max(until.unwrap_or(0)));
        let offered = until.map_or(seconds, since);
        let has_udp = plan.targets.iter().any(|target| matches!(target, Address::Udp(_)));
        let closed = plan.arrival == Arrival::Closed;
        let mut connections = total.connections;
        (connections.wanted, connections.open) = (plan.connections as u64, total.open);
        let mut report = Report {
            targets: plan.targets.clone(),
            arrival: plan.arrival,
            offered_rate: (!closed && offered > 0.0).then(|| self.due as f64 / offered),
            size: plan.exchange.content.size(),
            seconds,
            warmup: plan.warmup.as_secs_f64(),
            requests: total.requests,
            answered_in_time: total.in_time,
            verified: total.verified,
            mismatches: total.mismatches,
            unanswered: self.due.saturating_sub(total.requests),
            bytes_in: total.bytes_in,
            bytes_out: total.bytes_out,
            service: if closed { total.corrected.clone() } else { total.service },
            corrected: total.corrected,
            connect: total.connect,
            lag: total.lag,
            connections,
            errors: total.errors,
            examples: total.examples,
            udp: has_udp.then_some(total.udp),
            http: http(plan, total.statuses),
            generator: Generator { loops: plan.loops, cpu: self.cpu, spun: self.spun, busy: self.busy },
            verdict: Verdict::Interrupted,
        };
        if !stop.is_stopped() {
            report.verdict = decide(&report);
        }
        report
    }
}

fn http(plan: &Plan, statuses: Statuses) -> Option<Http> {
    let Content::Requests(requests) = &plan.exchange.content else { return None };
    Some(Http { urls: requests.iter().map(|request| request.url.clone()).collect(), statuses })
}

fn empty(number: u64, is_warmup: bool) -> Second {
    let none = Tally::new();
    Second {
        number,
        is_warmup,
        open: 0,
        requests: 0,
        errors: none.errors,
        corrected: none.corrected,
        service: none.service,
    }
}
