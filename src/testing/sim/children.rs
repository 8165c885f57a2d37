//! Simulated child processes: each prints its connection's payload through a bounded pipe, and then ends, before or after
//! its pipe does. Some are deaf to SIGTERM, some are not started.

use std::io;
use std::marker::PhantomData;
use std::rc::Rc;

use super::Bug;
use super::kernel::Shared;
use super::payload::binary;
use super::plan::{MS, NEVER};
use super::world::{Source, World};
use crate::kernel::{ChildProcess, GroupSignal, OutputStream, Planted, Readiness, Token};
use crate::session::{ChildSpec, ChildStatus};

const ENOMEM: i32 = 12;

/// One child.
#[derive(Debug)]
pub(super) struct Process {
    /// Whose payload it prints, and how much of that.
    id: usize,
    size: usize,
    written: usize,
    pub(super) read: usize,
    room: usize,
    step: usize,
    gap: u64,
    next_at: u64,
    /// The pipe has no writer any more, or no reader.
    writer_gone: bool,
    reader_gone: bool,
    status: Option<ChildStatus>,
    /// It ends this long after its pipe does.
    lingers: u64,
    deaf: bool,
    /// It is reaped.
    pub(super) gone: bool,
    pub(super) token: Option<Token>,
    pub(super) pending: bool,
    /// How many reads may find nothing: one for each event, however many of them say the same.
    permits: u32,
}

impl Process {
    pub(super) const fn next_act(&self) -> u64 {
        if self.gone || self.status.is_some() { NEVER } else { self.next_at }
    }

    /// What is there to be noticed.
    pub(super) fn level(&mut self) -> Readiness {
        self.permits = self.permits.max(1);
        let some = self.written > self.read || self.writer_gone || self.status.is_some();
        if some { Readiness::READABLE } else { Readiness::NONE }
    }

    /// The event that said so comes twice.
    pub(super) const fn note_event_again(&mut self) {
        self.permits += 1;
    }

    /// Prints, closes its pipe, or ends; says whether that is an edge.
    fn act(&mut self, now: u64) -> bool {
        if self.written < self.size && !self.reader_gone {
            let room = self.room - (self.written - self.read);
            let count = self.step.min(room).min(self.size - self.written);
            self.written += count;
            // Whoever finds no room waits for the reader.
            self.next_at = if count == 0 { NEVER } else { now + self.gap };
            return count > 0;
        }
        if !self.writer_gone && self.lingers > 0 {
            self.writer_gone = true;
            self.next_at = now + self.lingers;
        } else {
            self.writer_gone = true;
            self.status = Some(ChildStatus::Exited(0));
        }
        true
    }

    fn signal(&mut self, signal: GroupSignal, now: u64) {
        if self.status.is_some() || (signal == GroupSignal::Term && self.deaf) {
            return;
        }
        self.size = self.written;
        self.lingers = 0;
        self.next_at = now + if signal == GroupSignal::Kill { 0 } else { MS };
    }
}

impl World {
    /// Every child does what is due.
    pub(super) fn act_children(&mut self) {
        for at in 0..self.children.len() {
            if self.children[at].next_act() <= self.now && self.children[at].act(self.now) {
                self.edge(Source::Child(at));
            }
        }
    }

    /// Whether no child is left that nobody has reaped.
    pub(super) fn has_no_children(&self) -> bool {
        self.children.iter().all(|child| child.gone)
    }

    fn spawn(&mut self, spec: &ChildSpec, token: Token) -> io::Result<usize> {
        self.count(20);
        if self.faults.no_buffers && self.rng.one_in(4) {
            return Err(io::Error::from_raw_os_error(ENOMEM));
        }
        let number = |at: usize| spec.arguments.get(at)?.to_str()?.parse::<usize>().ok();
        let (id, size) = number(0).zip(number(1)).ok_or(io::ErrorKind::InvalidInput)?;
        let rng = &mut self.rng;
        let room = rng.pick(&[16, 200, 4096, 65_536]);
        self.children.push(Process {
            id,
            size,
            written: 0,
            read: 0,
            room,
            step: rng.pick(&[size / 48, size / 3, size]).clamp(1, room),
            gap: rng.pick(&[0, MS / 8, 3 * MS]),
            next_at: self.now + rng.nanos_below(2 * MS),
            writer_gone: false,
            reader_gone: false,
            status: None,
            lingers: if rng.coin() { rng.nanos_below(20 * MS) } else { 0 },
            deaf: rng.one_in(3),
            gone: false,
            token: Some(token),
            pending: false,
            permits: 1,
        });
        Ok(self.children.len() - 1)
    }

    fn read_child(&mut self, at: usize, into: &mut [u8]) -> io::Result<usize> {
        self.count(21);
        self.progress();
        let child = &mut self.children[at];
        if child.permits == 0 {
            self.fail(format!("child {at} is read without an event"));
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let there = child.written - child.read;
        if there == 0 {
            child.permits -= u32::from(!child.writer_gone);
            return if child.writer_gone { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let most = there.min(into.len());
        let count = if self.faults.short_reads { self.rng.between(1, most.max(1)).min(most) } else { most };
        let child = &mut self.children[at];
        let mut bytes = Vec::with_capacity(count);
        binary(child.id, child.read, count, &mut bytes);
        into[..count].copy_from_slice(&bytes);
        child.read += count;
        if child.next_at == NEVER {
            child.next_at = self.now;
        }
        Ok(count)
    }
}

/// A child of the simulated kernel.
#[derive(Debug)]
pub(super) struct SimChild<B> {
    world: Shared,
    at: usize,
    bug: PhantomData<B>,
}

impl<B: Bug> SimChild<B> {
    pub(super) fn spawn(world: &Shared, spec: &ChildSpec, token: Token) -> io::Result<Self> {
        let at = world.borrow_mut().spawn(spec, token)?;
        Ok(Self { world: Rc::clone(world), at, bug: PhantomData })
    }
}

impl<B: Bug> ChildProcess for SimChild<B> {
    fn read(&mut self, from: OutputStream, into: &mut [u8]) -> io::Result<usize> {
        match from {
            OutputStream::Stdout => self.world.borrow_mut().read_child(self.at, into),
            OutputStream::Stderr => Ok(0),
        }
    }

    fn try_wait(&mut self) -> io::Result<Option<ChildStatus>> {
        let mut world = self.world.borrow_mut();
        world.count(22);
        Ok(world.children[self.at].status)
    }

    fn signal(&mut self, signal: GroupSignal) {
        let mut world = self.world.borrow_mut();
        world.count(23);
        let now = world.now;
        world.children[self.at].signal(signal, now);
    }

    fn close_output(&mut self) {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        let child = &mut world.children[self.at];
        child.reader_gone = true;
        child.next_at = child.next_at.min(now + MS);
    }

    fn id(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    fn planted(&self) -> Planted {
        B::PLANTED
    }
}

impl<B> Drop for SimChild<B> {
    fn drop(&mut self) {
        let Ok(mut world) = self.world.try_borrow_mut() else { return };
        world.count(24);
        let child = &mut world.children[self.at];
        child.gone = true;
        let token = child.token.take();
        world.forget_child(self.at, token);
    }
}
