//! Worlds so small that every one of them can be lived through: two connections and two bytes each.

use std::time::Duration;

use super::conn::Conn;
use super::faults::Faults;
use super::plan::{Dial, Ending, MS, NEVER, Plan, Service, Setting};
use super::rng::Rng;
use super::run::Conversation;
use crate::reactor::{Config, OverLimit};
use crate::session::Limits;

/// Connections of a tiny world.
pub(super) const CLIENTS: usize = 2;
/// Bytes that each is about.
pub(super) const SIZE: usize = 2;

/// Kinds of tiny worlds. Each is finite, and every world of it is lived through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Echoes whose clients end their side: every order of events, every event held back, every short read and write,
    /// the end of the stream with the last byte and after it.
    Orders,
    /// Every way in which either client may end, and a drain that begins before, in between and after.
    Endings,
    /// Budgets of one byte and one frame, one connection at most, one descriptor too few, buffers of one byte.
    Scarcity,
    /// Too little memory for what two connections keep, and one connection for each address: every shortage that begins, is
    /// over, or lasts.
    Ceilings,
    /// A datagram socket and two clients with three datagrams: partial batches, full queues and budgets of one, delayed
    /// and further replies, errors of either direction, a drain at every moment.
    Datagrams,
    /// Every one and every two faults at any place: interrupted calls, buffers that run out, failed registrations, events
    /// that come twice, late, for nothing and for the dead.
    Faults,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Orders, Self::Endings, Self::Scarcity, Self::Ceilings, Self::Datagrams, Self::Faults];

    /// How many choices of the kernel may differ from a kind one. Where a fault may come again for ever there is a bound.
    pub(super) const fn bound(self) -> usize {
        match self {
            Self::Orders | Self::Scarcity => usize::MAX,
            Self::Datagrams => 2,
            Self::Endings | Self::Ceilings | Self::Faults => 3,
        }
    }

    pub(super) fn faults(self) -> Faults {
        let orders =
            Faults { short_reads: true, short_writes: true, shuffle: true, split: true, ..Faults::default() };
        match self {
            Self::Orders | Self::Endings => orders,
            Self::Ceilings => Faults { short_write_arms: true, ..orders },
            Self::Datagrams => Faults {
                interrupts: true,
                no_buffers: true,
                spurious: true,
                send_errors: true,
                icmp: true,
                ..orders
            },
            Self::Scarcity => Faults { short_write_arms: true, ..Faults::default() },
            Self::Faults => Faults {
                interrupts: true,
                accept_errors: true,
                no_buffers: true,
                register: true,
                duplicate: true,
                spurious: true,
                ghosts: true,
                late: true,
                wall_jumps: true,
                ..orders
            },
        }
    }

    /// The setting of a world, and what its reactor is told.
    pub(super) fn draw(self, custom: bool, base: &Config, choices: &mut Rng) -> (Setting, Config) {
        let service = match self {
            _ if custom => Service::Custom,
            Self::Orders => choices.pick(&[Service::EchoRaw, Service::EchoLines]),
            Self::Endings | Self::Scarcity => {
                choices.pick(&[Service::EchoRaw, Service::EchoLines, Service::Source])
            }
            Self::Ceilings => choices.pick(&[Service::EchoLines, Service::Source]),
            Self::Faults | Self::Datagrams => Service::EchoRaw,
        };
        let mut setting = Setting {
            listeners: [service; 3],
            listener_count: 1,
            clients: CLIENTS,
            descriptors: 64,
            stops: [NEVER; 2],
            ..Setting::default()
        };
        let limits = Limits {
            idle: Some(Duration::from_secs(20)),
            frame: Some(Duration::from_secs(10)),
            write: Some(Duration::from_secs(10)),
            high_water: 64,
            low_water: 0,
            ..base.limits.clone()
        };
        let mut config = Config { limits, max_connections: 1000, ..base.clone() };
        if self == Self::Datagrams {
            (setting.clients, setting.sockets) = (0, 1);
            config.limits.datagrams = choices.pick(&[1024, 1]);
            config.limits.frame_budget = choices.pick(&[128, 1]);
        }
        if self == Self::Ceilings {
            config.limits.memory = Some(choices.pick(&MEMORIES));
            config.max_per_address = choices.pick(&[None, Some(1)]);
        }
        if matches!(self, Self::Endings | Self::Datagrams) {
            setting.stops[0] = choices.pick(&[NEVER, 0, MS]);
        }
        if self == Self::Scarcity {
            let first = choices.below(SCARCITIES.len());
            let second = choices.below(first + 1);
            SCARCITIES[first](&mut setting, &mut config);
            SCARCITIES[second](&mut setting, &mut config);
        }
        (setting, config)
    }

    /// Gives a connection its plan and its script.
    pub(super) fn begin(
        self,
        conn: &mut Conn,
        id: usize,
        own: Option<&Conversation>,
        setting: &Setting,
        choices: &mut Rng,
    ) {
        let service = setting.listeners[0];
        conn.begin(id, self.plan(service, id, choices));
        conn.script.write_least(id, service, SIZE);
        if let Some(own) = own {
            conn.script.says.extend_from_slice(&own.says);
            conn.script.hears.extend_from_slice(&own.hears);
        }
        if conn.plan.ending == Ending::Stuck {
            conn.script.cut_last_frame(choices);
        }
    }

    fn plan(self, service: Service, id: usize, choices: &mut Rng) -> Plan {
        let ending = match self {
            Self::Endings | Self::Ceilings => choices.pick(endings(service)),
            _ => endings(service)[0],
        };
        let scarce = matches!(self, Self::Scarcity | Self::Ceilings);
        let room = if scarce { choices.pick(&[16, 1]) } else { 16 };
        // The two are alike: it is enough that the second may come later.
        let later = id > 0 && choices.coin();
        Plan {
            service,
            ending,
            dial: Dial::In(0),
            starts_at: if later { MS } else { 0 },
            piece: SIZE,
            send_gap: 0,
            read_chunk: SIZE,
            read_gap: 0,
            in_room: room,
            out_room: if scarce { room } else { SIZE },
            fin_with_data: choices.coin(),
            ..Plan::default()
        }
    }
}

/// Ceilings of memory. The least that a buffer takes up is 8 bytes: with the first, two connections that keep something are a
/// shortage; with the second, nobody is accepted then; with the third, that is so with one, and two are too many; with the
/// last, one is.
const MEMORIES: [usize; 4] = [20, 17, 8, 1];

/// What there may be too little of; of these two at once.
const SCARCITIES: [fn(&mut Setting, &mut Config); 7] = [
    |_, _| {},
    |setting, _| setting.descriptors = 2,
    |_, config| config.max_connections = 1,
    |_, config| (config.max_connections, config.over_limit) = (1, OverLimit::Refuse),
    |_, config| config.accept_batch = 1,
    |_, config| (config.limits.read_budget, config.limits.frame_budget) = (1, 1),
    |_, config| config.limits.high_water = 1,
];

/// How clients of a service may end; first how they end where that is not what the world is about.
const fn endings(service: Service) -> &'static [Ending] {
    use Ending::{Deaf, HalfClose, Idle, Polite, Reset, Served, Stuck, Vanish};
    const SAID: Ending = Reset { after: 1, hearing: false };
    const HEARD: Ending = Reset { after: 1, hearing: true };
    match service {
        Service::EchoRaw => &[HalfClose, Polite, Idle, SAID, HEARD, Vanish, Deaf],
        Service::Source => &[Served, HalfClose, HEARD, Deaf],
        Service::EchoLines => &[HalfClose, Polite, SAID, Stuck],
        _ => &[HalfClose],
    }
}
