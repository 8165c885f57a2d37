//! What the simulated kernel does to the reactor, within what a real kernel may do.

use super::rng::Rng;

/// The faults of one run; each is on in about half of the runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// Data arrives in pieces while it is being read.
    pub(super) short_reads: bool,
    /// A write takes less than there is room for.
    pub(super) short_writes: bool,
    /// EINTR from reads, writes and accepts; polls that end early with nothing.
    pub(super) interrupts: bool,
    /// ECONNABORTED and its like from accept(2).
    pub(super) accept_errors: bool,
    /// Accepting fails for want of something, for some time.
    pub(super) accept_droughts: bool,
    /// ENOBUFS and ENOMEM from reads and writes; no event announces the end of it.
    pub(super) no_buffers: bool,
    /// epoll_ctl(2) fails.
    pub(super) register: bool,
    /// Events in another order.
    pub(super) shuffle: bool,
    /// Events held back for a later poll.
    pub(super) split: bool,
    /// Events reported twice.
    pub(super) duplicate: bool,
    /// Events for sockets with nothing new.
    pub(super) spurious: bool,
    /// Events for sockets that are closed.
    pub(super) ghosts: bool,
    /// Polls that return later than asked.
    pub(super) late: bool,
    /// The wall clock jumps by a day.
    pub(super) wall_jumps: bool,
    /// A short write that fills the buffer counts as a refusal, as Linux has it; else only EAGAIN does.
    pub(super) short_write_arms: bool,
    /// A reply is refused for good: too long, forbidden, no route.
    pub(super) send_errors: bool,
    /// ICMP messages about replies that found nobody.
    pub(super) icmp: bool,
    /// No fault: what is sent without being asked for is printed by children.
    pub(super) children: bool,
}

impl Faults {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let bits = rng.next();
        let on = |bit: u32| bits >> bit & 1 == 1;
        Self {
            short_reads: on(0),
            short_writes: on(1),
            interrupts: on(2),
            accept_errors: on(3),
            accept_droughts: on(4),
            no_buffers: on(5),
            // It ends a connection that did nothing wrong, and must not hide what would else be seen.
            register: on(6) && on(7),
            shuffle: on(8),
            split: on(9),
            duplicate: on(10),
            spurious: on(11),
            ghosts: on(12),
            late: on(13),
            wall_jumps: on(14),
            short_write_arms: on(15),
            send_errors: on(16),
            icmp: on(17),
            children: on(18),
        }
    }
}
