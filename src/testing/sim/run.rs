//! One run: draws the plans, lets a reactor live through them, and has the outcome judged.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::conn::Conn;
use super::datagrams::{BATCH_ROOM, Exchange, Handlers, Mail, own_address};
use super::faults::Faults;
use super::judge::{judge, nanos};
use super::kernel::{Shared, SimKernel, address_of};
use super::odometer::Odometer;
use super::plan::{Answer, Dial, Ending, NEVER, Plan, Service, Setting, draw_config};
use super::probe::Maker;
use super::report::{Failure, Report};
use super::rng::Rng;
use super::socket::draw_drought;
use super::tiny::{CLIENTS, Kind, SIZE};
use super::transcript::Transcript;
use super::world::World;
use super::{Bug, Sound};
use crate::kernel::RecvBatch;
use crate::reactor::{Config, Reactor};
use crate::session::{DatagramFactory, Factory, Peer};

/// What a client says and must hear, in a simulation of somebody's own protocol.
#[derive(Debug, Clone, Default)]
pub(super) struct Conversation {
    pub(super) says: Vec<u8>,
    pub(super) hears: Vec<u8>,
}

/// A simulated machine that lives through one run after another, and keeps its memory between them.
///
/// `B` names the bug that is planted in the driver: none by default.
pub struct Simulation<B = Sound> {
    world: Shared,
    config: Config,
    origin: Instant,
    maker: Maker,
    conversation: Option<Conversation>,
    handlers: Handlers,
    exchange: Option<Arc<Exchange>>,
    /// What the reactor receives datagrams into, when it has none.
    batch: Option<Box<RecvBatch>>,
    transcript: Option<Transcript>,
    bug: PhantomData<B>,
}

impl<B: Bug> Simulation<B> {
    /// A machine for runs of the crate's own services.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None, None)
    }

    /// A machine for runs of somebody's own protocol.
    pub(super) fn with(custom: Option<Factory>, conversation: Option<Conversation>) -> Self {
        Self {
            world: Rc::new(RefCell::new(World::default())),
            config: Config::default(),
            origin: Instant::now(),
            maker: Maker::new(custom),
            conversation,
            handlers: Handlers::new(None),
            exchange: None,
            batch: None,
            transcript: None,
            bug: PhantomData,
        }
    }

    /// A machine for runs of somebody's own datagram handler, beside the crate's own services.
    pub(super) fn with_datagrams(custom: DatagramFactory, exchange: Exchange) -> Self {
        let (handlers, exchange) = (Handlers::new(Some(custom)), Some(Arc::new(exchange)));
        Self { handlers, exchange, ..Self::new() }
    }

    /// A machine for runs of somebody's own protocol with clients that keep to a transcript.
    pub(super) fn with_transcript(
        custom: Factory,
        conversation: Conversation,
        transcript: Transcript,
    ) -> Self {
        Self { transcript: Some(transcript), ..Self::with(Some(custom), Some(conversation)) }
    }

    /// When the last connection of the last run ended.
    pub(super) fn last_end(&self) -> Duration {
        let world = self.world.borrow();
        let ends = world.active().iter().filter_map(|conn| conn.end.as_ref().map(|(_, at)| *at));
        Duration::from_nanos(ends.max().unwrap_or(0))
    }

    /// Lives through the run that follows from `seed`.
    ///
    /// # Errors
    /// [`Failure`], which says what broke and how to see it again.
    pub fn run(&mut self, seed: u64) -> Result<Report, Failure> {
        self.attempt(|simulation| simulation.prepare(seed)).map_err(|what| Failure { seed, what })
    }

    /// Lives through the tiny world of this kind that the odometer stands at.
    pub(super) fn run_tiny(&mut self, kind: Kind, odometer: &mut Box<Odometer>) -> Result<Report, String> {
        odometer.rewind();
        let counted = Rng::counted(std::mem::take(odometer));
        let outcome = self.attempt(|simulation| simulation.prepare_tiny(kind, counted));
        *odometer = self.world.borrow_mut().rng.take_odometer().expect("it was put in");
        outcome
    }

    /// A panic is a finding like any other; the world it leaves behind is not used again.
    fn attempt(&mut self, prepare: impl FnOnce(&mut Self) -> Config) -> Result<Report, String> {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let config = prepare(self);
            self.live(&config)
        }));
        outcome.unwrap_or_else(|panic| {
            let rng = std::mem::take(&mut self.world.borrow_mut().rng);
            self.world = Rc::new(RefCell::new(World::default()));
            self.world.borrow_mut().rng = rng;
            Err(format!("panicked: {}", text_of(&*panic)))
        })
    }

    fn live(&mut self, config: &Config) -> Result<Report, String> {
        let kernel = SimKernel::<B>::new(Rc::clone(&self.world), self.origin);
        let mut reactor = Reactor::with_kernel(kernel, config.clone());
        self.listen(&mut reactor)?;
        self.open_sockets(&mut reactor)?;
        while !reactor.is_done() {
            let turned = reactor.turn(None);
            if let Some(what) = self.world.borrow_mut().broken.take() {
                return Err(what);
            }
            turned.map_err(|error| format!("the loop ended: {error}"))?;
            self.note_overflow(&reactor);
            self.world.borrow_mut().ceilings.is_short = reactor.is_memory_short();
            self.dial(&mut reactor);
            self.stop_when_quiet(&mut reactor)?;
        }
        self.collect_ends()?;
        let (stats, in_use) = (reactor.stats(), reactor.slots_in_use());
        self.batch = reactor.batch_mut().take();
        drop(reactor);
        let mut world = self.world.borrow_mut();
        if let Some(what) = world.broken.take() {
            return Err(what);
        }
        if in_use != 0 || world.descriptors != 0 {
            return Err(format!("left over: {in_use} slots, {} descriptors", world.descriptors));
        }
        let operations = world.counted.operations;
        world.ended_at = world.now;
        world.run_down();
        debug_assert_eq!(operations, world.counted.operations, "clients make no system calls");
        judge(&world, &stats, config)?;
        self.transcript.as_ref().map_or(Ok(()), |transcript| transcript.judge(world.active()))?;
        Ok(Report::of(&world, &stats))
    }

    /// Draws everything that follows from the seed.
    fn prepare(&mut self, seed: u64) -> Config {
        let mut rng = Rng::new(seed);
        let mut world = self.world.borrow_mut();
        let world = &mut *world;
        let mut faults = Faults::draw(&mut rng);
        let mut setting = Setting::draw(self.conversation.is_some(), self.exchange.is_some(), &mut rng);
        let mut config = draw_config(&self.config, &mut rng);
        if let Some(transcript) = &self.transcript {
            transcript.set(&mut faults, &mut setting, &mut config, &self.config);
        }
        if world.conns.len() < setting.clients {
            world.conns.resize_with(setting.clients, Conn::default);
        }
        let mut sizes = [0; 16];
        for (id, size_of) in sizes[..setting.clients].iter_mut().enumerate() {
            let (service, dial) = draw_dial(&setting, &mut rng);
            let size = self.conversation.as_ref().map_or_else(|| draw_size(&mut rng), |own| own.says.len());
            let plan = Plan::draw(service, dial, size, &mut rng);
            let conn = &mut world.conns[id];
            conn.begin(id, plan);
            conn.script.write(id, service, size, &mut rng);
            if let Some(own) = &self.conversation {
                conn.script.says.extend_from_slice(&own.says);
                conn.script.hears.extend_from_slice(&own.hears);
            }
            if let Some(transcript) = &self.transcript {
                transcript.give_to(conn);
            }
            adapt(conn, &mut rng);
            *size_of = size;
        }
        world.mail.exchange.clone_from(&self.exchange);
        world.mail.draw(&setting, &config, &mut rng);
        world.drought = draw_drought(faults.accept_droughts, &mut rng);
        world.begin(rng, faults, setting, &config);
        self.maker.begin(setting.greet_delay, &sizes[..setting.clients]);
        self.maker.children = faults.children;
        config
    }

    /// Sets up the tiny world of this kind that follows from the choices.
    fn prepare_tiny(&mut self, kind: Kind, mut counted: Rng) -> Config {
        let mut world = self.world.borrow_mut();
        let room = CLIENTS.max(world.conns.len());
        world.conns.resize_with(room, Conn::default);
        let (setting, config) = kind.draw(self.conversation.is_some(), &self.config, &mut counted);
        for (id, conn) in world.conns[..CLIENTS].iter_mut().enumerate() {
            kind.begin(conn, id, self.conversation.as_ref(), &setting, &mut counted);
        }
        world.mail.draw(&setting, &config, &mut counted);
        world.drought = (NEVER, NEVER);
        counted.end_setting();
        world.begin(counted, kind.faults(), setting, &config);
        self.maker.begin(setting.greet_delay, &[SIZE; CLIENTS]);
        self.maker.children = false;
        config
    }

    fn listen(&self, reactor: &mut Reactor<SimKernel<B>>) -> Result<(), String> {
        let setting = self.world.borrow().setting;
        for (at, &service) in setting.listeners[..setting.listener_count].iter().enumerate() {
            let listener = reactor.kernel().listener(at);
            let maker = self.maker.clone();
            let make: Factory = Arc::new(move |peer| maker.make(service, peer));
            let added = if setting.shared {
                reactor.add_shared_listener(listener, address_of(100 + at), make)
            } else {
                reactor.add_listener(listener, address_of(100 + at), make)
            };
            added.map_err(|error| format!("could not listen: {error}"))?;
        }
        Ok(())
    }

    fn open_sockets(&mut self, reactor: &mut Reactor<SimKernel<B>>) -> Result<(), String> {
        let sockets = self.world.borrow().setting.sockets;
        if sockets == 0 {
            return Ok(());
        }
        let batch = self.batch.take();
        *reactor.batch_mut() = Some(batch.unwrap_or_else(|| Box::new(RecvBatch::with_room(BATCH_ROOM))));
        for at in 0..sockets {
            let socket = reactor.kernel().datagrams(at);
            let each = self.world.borrow().mail.sockets[at].each;
            let added = reactor.add_port(socket, own_address(at), &self.handlers.pick(each));
            if added.is_ok() != self.world.borrow().mail.sockets[at].registered {
                return Err(format!("adding a datagram socket came to {added:?}"));
            }
        }
        Ok(())
    }

    /// What the reactor has dropped of its replies only the reactor knows.
    fn note_overflow(&self, reactor: &Reactor<SimKernel<B>>) {
        let is_open = |mail: &Mail| mail.counted.unsettled() > mail.overflow;
        if is_open(&self.world.borrow().mail) {
            let overflow = reactor.stats().datagrams.overflow;
            self.world.borrow_mut().mail.overflow = overflow;
        }
    }

    /// Lets the reactor make the outgoing connections whose time has come.
    fn dial(&self, reactor: &mut Reactor<SimKernel<B>>) {
        loop {
            let mut world = self.world.borrow_mut();
            let Some(id) = world.to_dial.pop() else { return };
            let plan = world.conns[id].plan;
            if world.stops_taken == 0 {
                drop(world);
                let to = address_of(id);
                let protocol =
                    self.maker.make(plan.service, &Peer { address: to.clone(), local: to.clone() });
                let begun = reactor.connect(&to, protocol);
                world = self.world.borrow_mut();
                if begun.is_ok() {
                    world.counted.dialled += 1;
                    continue;
                }
            }
            world.conns[id].leave_undialled();
        }
    }

    /// When every conversation is over only listeners and ports may be left; then they are drained too.
    fn stop_when_quiet(&self, reactor: &mut Reactor<SimKernel<B>>) -> Result<(), String> {
        let mut world = self.world.borrow_mut();
        if !world.may_stop() {
            return Ok(());
        }
        let (kept, slots) = (world.kept(), reactor.slots_in_use());
        if slots != kept || world.descriptors != kept {
            let descriptors = world.descriptors;
            return Err(format!("all is quiet, but {slots} slots and {descriptors} descriptors are in use"));
        }
        world.stops = 1;
        world.setting.stops = [NEVER; 2];
        Ok(())
    }

    fn collect_ends(&self) -> Result<(), String> {
        let mut world = self.world.borrow_mut();
        let mut ledger = self.maker.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        for ended in ledger.drain(..) {
            let at = nanos(ended.at.saturating_duration_since(self.origin));
            if world.conns[ended.id].end.replace((ended.reason, at)).is_some() {
                return Err(format!("connection #{} was told of its end twice", ended.id));
            }
        }
        Ok(())
    }
}

impl<B: Bug> Default for Simulation<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> std::fmt::Debug for Simulation<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation").field("world", &self.world).finish_non_exhaustive()
    }
}

/// Which service a client meets, and who calls whom.
fn draw_dial(setting: &Setting, rng: &mut Rng) -> (Service, Dial) {
    let at = rng.below(setting.listener_count);
    let service = setting.listeners[at];
    if !rng.one_in(6) || service == Service::Custom {
        return (service, Dial::In(at));
    }
    let answer = match rng.below(8) {
        0 => Answer::Refused,
        1 => Answer::Silence,
        _ => Answer::Made,
    };
    (service, Dial::Out(answer))
}

fn draw_size(rng: &mut Rng) -> usize {
    if rng.one_in(8) { rng.between(1, 200) } else { rng.between(1500, 6000) }
}

/// Fits a script to how its client ends.
fn adapt(conn: &mut Conn, rng: &mut Rng) {
    let lines = matches!(conn.plan.service, Service::EchoLines | Service::GreetLines);
    match conn.plan.ending {
        Ending::Stuck if !conn.script.cut_last_frame(rng) => conn.plan.ending = Ending::Polite,
        Ending::Served if conn.plan.service == Service::GreetLines => conn.script.say_exit(rng),
        Ending::Wrong => conn.cuts = !conn.script.say_wrong(conn.plan.service, conn.id, rng),
        Ending::HalfClose if lines && rng.coin() => conn.script.leave_last_line_open(),
        _ => {}
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    match panic.downcast_ref::<String>() {
        Some(text) => text,
        None => panic.downcast_ref::<&str>().copied().unwrap_or("with something that is no text"),
    }
}
