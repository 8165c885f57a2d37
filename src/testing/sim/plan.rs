//! What happens in one run, drawn from its seed: who connects when, says what, how fast, and how it ends.

use std::time::Duration;

use super::rng::Rng;
use crate::reactor::{Config, OverLimit};
use crate::session::Limits;

/// Nanoseconds of virtual time.
pub(super) const MS: u64 = 1_000_000;
/// A moment that never comes.
pub(super) const NEVER: u64 = u64::MAX;
/// Payloads are shorter than this.
pub(super) const MAX_FRAME: usize = 200;
/// What every run's connections can be at most.
const MAX_CLIENTS: usize = 8;
/// Datagram sockets of a run.
pub(super) const MAX_SOCKETS: usize = 2;

/// What a connection's protocol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Service {
    #[default]
    EchoRaw,
    EchoLines,
    EchoLen32,
    GreetLines,
    GreetRaw,
    /// Speaks without being asked.
    Source,
    /// Given by the caller.
    Custom,
}

/// What a client does when it has said everything, or instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Ending {
    /// Ends its sending side and reads to the end.
    #[default]
    HalfClose,
    /// Hears everything first, then ends its sending side.
    Polite,
    /// Hears everything, then stays until the server has enough of it.
    Idle,
    /// Waits for the server to finish.
    Served,
    /// Resets the connection once it has sent or heard so much.
    Reset { after: usize, hearing: bool },
    /// Closes both sides without reading what is still to come.
    Vanish,
    /// Never reads, never ends.
    Deaf,
    /// Stops in the middle of a frame.
    Stuck,
    /// Ends its sending side in the middle of a frame, or sends what is no frame and waits for the end.
    Wrong,
}

/// Who calls whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dial {
    /// The client connects to this listener.
    In(usize),
    /// The reactor connects, and it ends so.
    Out(Answer),
}

/// What becomes of an outgoing connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Made,
    Refused,
    Silence,
}

/// One connection's plan. Sizes in bytes, times in nanoseconds of virtual time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) service: Service,
    pub(super) ending: Ending,
    pub(super) dial: Dial,
    pub(super) starts_at: u64,
    pub(super) answer_after: u64,
    pub(super) piece: usize,
    /// What is said in one turn is sent in one piece, whatever `piece` says.
    pub(super) whole: bool,
    pub(super) send_gap: u64,
    pub(super) reads_from: u64,
    pub(super) read_chunk: usize,
    pub(super) read_gap: u64,
    pub(super) in_room: usize,
    pub(super) out_room: usize,
    /// The end of the stream comes together with the last bytes.
    pub(super) fin_with_data: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            service: Service::EchoRaw,
            ending: Ending::HalfClose,
            dial: Dial::In(0),
            starts_at: 0,
            answer_after: 0,
            piece: 1,
            whole: false,
            send_gap: 0,
            reads_from: 0,
            read_chunk: 1,
            read_gap: 0,
            in_room: 1,
            out_room: 1,
            fin_with_data: false,
        }
    }
}

impl Plan {
    /// A plan for a client of this service, which `size` bytes are about.
    pub(super) fn draw(service: Service, dial: Dial, size: usize, rng: &mut Rng) -> Self {
        let step = (size / 48).max(1);
        let room = |rng: &mut Rng| rng.pick(&[size / 48, size / 12, size / 3, size]).clamp(16, 4096);
        let late = rng.one_in(4);
        let begin = rng.pick(&[MS, 30 * MS]);
        Self {
            service,
            ending: draw_ending(service, size, rng),
            dial,
            starts_at: rng.nanos_below(begin),
            answer_after: rng.nanos_below(20 * MS),
            piece: rng.pick(&[step, step * 4, step * 16, size]).max(1),
            whole: false,
            send_gap: rng.pick(&[0, 0, MS / 8, 12 * MS]),
            reads_from: if late { rng.nanos_below(3000 * MS) } else { 0 },
            read_chunk: rng.pick(&[step, step * 4, step * 16, size, size]).max(1),
            read_gap: rng.pick(&[0, 0, MS / 8, 12 * MS]),
            in_room: room(rng),
            out_room: room(rng),
            fin_with_data: rng.coin(),
        }
    }
}

fn draw_ending(service: Service, size: usize, rng: &mut Rng) -> Ending {
    use Ending::{Deaf, HalfClose, Idle, Polite, Reset, Served, Stuck, Vanish, Wrong};
    let reset = Reset { after: rng.below(size.max(1)), hearing: rng.coin() };
    match service {
        Service::EchoRaw => {
            rng.pick(&[HalfClose, HalfClose, HalfClose, HalfClose, Polite, Polite, Idle, reset, Vanish, Deaf])
        }
        Service::EchoLines | Service::EchoLen32 => rng.pick(&[
            HalfClose, HalfClose, HalfClose, HalfClose, Polite, Polite, Idle, reset, Deaf, Stuck, Wrong,
        ]),
        Service::GreetLines => rng.pick(&[HalfClose, HalfClose, Polite, Idle, Served, Served, reset, Stuck]),
        Service::GreetRaw => rng.pick(&[HalfClose, HalfClose, Polite, Idle, reset]),
        Service::Source => rng.pick(&[Served, Served, Served, HalfClose, reset, Deaf]),
        Service::Custom => {
            let reset = Reset { after: rng.below(size.max(1)), hearing: false };
            rng.pick(&[HalfClose, HalfClose, HalfClose, HalfClose, HalfClose, reset])
        }
    }
}

/// What one run is about, beside its connections.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Setting {
    /// One listener for each.
    pub(super) listeners: [Service; 3],
    pub(super) listener_count: usize,
    pub(super) clients: usize,
    /// Another process accepts from the listeners too, and goes on when the reactor stops.
    pub(super) shared: bool,
    /// Datagram sockets.
    pub(super) sockets: usize,
    pub(super) descriptors: usize,
    /// Orders to stop come at these moments.
    pub(super) stops: [u64; 2],
    /// Greetings are held back for so long.
    pub(super) greet_delay: Duration,
}

impl Setting {
    /// `custom` for somebody's own protocol on all listeners, `datagrams` for their own handler of datagrams.
    pub(super) fn draw(custom: bool, datagrams: bool, rng: &mut Rng) -> Self {
        use Service::{Custom, EchoLen32, EchoLines, EchoRaw, GreetLines, GreetRaw, Source};
        let services =
            [EchoRaw, EchoRaw, EchoLines, EchoLines, EchoLen32, EchoLen32, GreetLines, GreetRaw, Source];
        let mut one = || if custom { Custom } else { rng.pick(&services) };
        let listeners = [one(), one(), one()];
        let clients = rng.between(4, MAX_CLIENTS);
        let listener_count = if custom { 1 } else { rng.between(1, 3) };
        let scarce = rng.one_in(4);
        let latest = rng.pick(&[50 * MS, 2000 * MS]);
        let stop = if rng.one_in(4) { rng.nanos_below(latest) } else { NEVER };
        let again = stop != NEVER && rng.one_in(6);
        let sockets = if custom { 0 } else { rng.pick(&[0, 0, 1, MAX_SOCKETS]).max(usize::from(datagrams)) };
        Self {
            listeners,
            listener_count,
            clients,
            shared: rng.one_in(8),
            sockets,
            descriptors: if scarce { listener_count + sockets + rng.between(1, 4) } else { 64 },
            stops: [stop, if again { stop + rng.nanos_below(100 * MS) } else { NEVER }],
            greet_delay: Duration::from_millis(rng.pick(&[0, 0, 1, 20])),
        }
    }
}

/// Small limits, so that every one of them is reached.
pub(super) fn draw_config(base: &Config, rng: &mut Rng) -> Config {
    let high_water = rng.pick(&[64, 200, 1024, 4096]);
    let seconds = |low, high, rng: &mut Rng| Duration::from_secs(rng.between(low, high) as u64);
    let frame = seconds(15, 30, rng);
    let limits = Limits {
        idle: Some(frame + seconds(1, 30, rng)),
        frame: Some(frame),
        write: Some(seconds(15, 30, rng)),
        linger: seconds(1, 3, rng),
        linger_bytes: rng.pick(&[256, 4096, 65_536]),
        quiet: Duration::from_millis(rng.pick(&[20, 100])),
        high_water,
        low_water: rng.below(high_water / 2),
        read_budget: rng.pick(&[64, 100, 256, 1024, 4096]),
        frame_budget: rng.pick(&[1, 2, 5, 128]),
        datagrams: rng.pick(&[2, 8, 1024]),
        memory: if rng.one_in(6) { Some(rng.pick(&[512, 2048, 8192])) } else { None },
        ..base.limits.clone()
    };
    Config {
        limits,
        max_connections: if rng.one_in(4) { rng.between(1, 4) } else { 1000 },
        over_limit: if rng.one_in(4) { OverLimit::Refuse } else { OverLimit::Wait },
        max_per_address: if rng.one_in(8) { Some(rng.between(1, 4)) } else { None },
        accept_batch: rng.pick(&[1, 2, 64]),
        drain: Duration::from_millis(rng.pick(&[50, 1000, 60_000])),
        connect_timeout: seconds(1, 10, rng),
        any_source_port: rng.one_in(4),
        ..base.clone()
    }
}
