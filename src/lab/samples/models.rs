//! The models of a server side by side: our own, all with the same service.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::Socket;

use crate::address::Address;
use crate::codec::Raw;
use crate::error::Error;
use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::tasks::{Tasks, Used};
use crate::lab::tools::wait::DEADLINE;
use crate::lab::tools::{drain, hangup, net, proc_net, wait};
use crate::models::{Blocking, Model, SpinKernel};
use crate::os::sockets::{ListenOptions, listen};
use crate::reactor::{Config, Reactor};
use crate::services::{Greet, GreetConfig};
use crate::session::{Factory, Framed, factory};

pub(super) const PAGE: Page =
    Page { path: "src/lab/samples/models.rs", text: include_str!("models.rs"), experiments: &[Z08] };

const Z08: Experiment = Experiment {
    id: "Z08",
    core: true,
    title: "One blocking thread, two clients: the second waits for the first. And three ways out of it",
    claim: "A tutorial's loop (accept, then recv until the client leaves) answers client B only after client A has left, although B \
        is connected and its bytes are acknowledged. A thread per connection answers B at once, and B costs a thread. Asking \
        non-blocking sockets again and again answers B on one thread, and burns a processor while nobody says anything. An \
        event loop answers B on one thread, and sleeps.",
    why: "This is why the project exists: one thread for all, which sleeps when there is nothing to do.",
    source: "tutorials' servers; UNP 30; docs/models.md",
    needs: &[],
    run: four_servers_two_clients,
    helper: None,
};

fn four_servers_two_clients(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Iterative: one blocking thread, one client after the other");
    let (tasks, server) = (Tasks::before()?, Server::start(Kind::Iterative)?);
    let a = greeted(lab, &server, "A")?;
    let b = called(lab, &server, "B")?;
    lab.expect("B, while A is connected, hears nothing", wait::stays_unreadable(&b)?, true);
    lab.call("close(A)", hangup::close(a))?;
    answered(lab, &b, "B")?;
    sleeps(lab, &tasks)?;
    costs(lab, &tasks, &b)?;
    drop((b, server));

    lab.step("A thread per connection");
    both_are_answered(lab, Kind::Threads, 1)?;
    lab.step("Non-blocking sockets, asked again and again");
    both_are_answered(lab, Kind::Spin, 0)?;
    lab.step("The event loop");
    both_are_answered(lab, Kind::Loop, 0)
}

/// A and B are connected and silent at the end of it, and then A asks much.
fn both_are_answered(lab: &mut Lab, kind: Kind, threads_for_b: usize) -> Result<(), Stop> {
    let (tasks, server) = (Tasks::before()?, Server::start(kind)?);
    let a = greeted(lab, &server, "A")?;
    let with_a = tasks.used()?.threads;
    let _b = greeted(lab, &server, "B")?;
    let with_both = tasks.used()?.threads;
    lab.expect("threads that B costs", with_both - with_a, threads_for_b);
    if kind == Kind::Spin {
        burns(lab, &tasks)?
    } else {
        sleeps(lab, &tasks)?
    }
    costs(lab, &tasks, &a)
}

/// A client whose message the server's kernel has acknowledged.
fn called(lab: &mut Lab, server: &Server, name: &str) -> Result<Socket, Stop> {
    let client = net::socket()?;
    lab.call(format!("connect({name})"), client.connect(&server.address.into()))?;
    lab.call(format!("send({name}, \"{name}\")"), client.send(name.as_bytes()))?;
    let here = net::address(&client)?;
    let queue = || io::Result::Ok(proc_net::tcp(here, server.address)?.map(|row| row.send_queue));
    wait::until("it was not acknowledged", || Ok(queue()? == Some(0)))?;
    lab.expect(format!("bytes of {name} that are not acknowledged"), queue()?, 0u64);
    Ok(client)
}

fn answered(lab: &mut Lab, client: &Socket, name: &str) -> Result<(), Stop> {
    let claimed = format!("Hello, {name}!");
    let answer = lab.call(format!("recv({name}, 9)"), drain::exactly(client, claimed.len()))?;
    lab.expect(format!("{name}'s answer"), answer, claimed.into_bytes());
    Ok(())
}

fn greeted(lab: &mut Lab, server: &Server, name: &str) -> Result<Socket, Stop> {
    let client = called(lab, server, name)?;
    answered(lab, &client, name)?;
    Ok(client)
}

/// Nobody says anything: there is a while in which no thread of the server ran at all.
fn sleeps(lab: &mut Lab, tasks: &Tasks) -> Result<(), Stop> {
    let mut window = (Used::default(), Used::default());
    let rested = wait::until("it did not come to rest", || {
        window.0 = tasks.used()?;
        let rested = wait::stays_false(|| {
            window.1 = tasks.used()?;
            Ok(window.1 != window.0)
        })?;
        Ok(rested && window.0.asleep == window.0.threads)
    });
    let (before, after) = window;
    lab.expect("it comes to rest when nobody says anything", rested.is_ok(), true);
    lab.expect("processor time in 50 ms, in ns", (after.cpu - before.cpu).as_nanos(), 0u128);
    lab.expect("times a thread was woken in 50 ms", after.waits - before.waits, 0u64);
    Ok(())
}

/// Nobody says anything, and processor time goes by all the same.
fn burns(lab: &mut Lab, tasks: &Tasks) -> Result<(), Stop> {
    const MUCH: Duration = Duration::from_millis(50);
    let before = tasks.used()?;
    let burnt =
        wait::until("it did not use 50 ms of a processor", || Ok(tasks.used()?.cpu - before.cpu >= MUCH));
    lab.expect("it uses 50 ms of a processor while nobody says anything", burnt.is_ok(), true);
    lab.number(
        "times it gave the processor up meanwhile",
        tasks.used()?.waits - before.waits,
        "the locks it meets",
    );
    Ok(())
}

/// Figures: what a request costs the server.
fn costs(lab: &mut Lab, tasks: &Tasks, client: &Socket) -> Result<(), Stop> {
    const REQUESTS: u32 = 200;
    let before = tasks.used()?;
    for _ in 0..REQUESTS {
        client.send(b"X")?;
        drain::exactly(client, b"Hello, X!".len())?;
    }
    let after = tasks.used()?;
    lab.number("threads", after.threads, "the model, and how many clients there are");
    let time = (after.cpu - before.cpu).as_nanos() / u128::from(REQUESTS);
    lab.number("processor time of the server per request", format!("{time} ns"), "the machine, and load");
    let waits = after.waits.saturating_sub(before.waits) * 100 / u64::from(REQUESTS);
    lab.number("switches of the server per 100 requests", waits, "who of client and server is faster");
    Ok(())
}

/// How a server drives its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Iterative,
    Threads,
    Spin,
    Loop,
}

/// One of our own servers, greeting, on threads of its own. It stops when this is dropped.
struct Server {
    address: SocketAddr,
    stop: Option<Box<dyn FnOnce() + Send>>,
    thread: Option<JoinHandle<()>>,
}

/// What a server tells when it listens: where, and how it is stopped.
type Ready = (SocketAddr, Box<dyn FnOnce() + Send>);

impl Server {
    fn start(kind: Kind) -> Result<Self, Stop> {
        let (tell, ready) = channel();
        let thread = thread::Builder::new().spawn(move || {
            // Its failure is that nobody is answered, which the experiment sees.
            let _ = serve(kind, &tell);
        })?;
        let (address, stop) = ready.recv_timeout(DEADLINE).map_err(io::Error::other)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(kind: Kind, tell: &Sender<Ready>) -> Result<(), Error> {
    let mut config = Config::default();
    // Nothing is to happen by itself.
    config.limits.idle = None;
    let (listener, local) = listen(&Address::Tcp(net::anywhere()), &ListenOptions::default())?;
    let address = local.socket_addr().expect("it is a TCP address");
    match kind {
        Kind::Iterative | Kind::Threads => {
            let model = if kind == Kind::Threads { Model::Threads } else { Model::Iterative };
            let mut server = Blocking::new(model, config)?;
            server.add_listener(listener, local, greeter());
            let handle = server.handle();
            let _ = tell.send((address, Box::new(move || handle.stop_now())));
            server.run().map(drop)
        }
        Kind::Spin => {
            let kernel = SpinKernel::new().map_err(Error::Poll)?;
            let handle = kernel.handle();
            let mut reactor = Reactor::with_kernel(kernel, config);
            reactor.add_listener(listener, local, greeter())?;
            let _ = tell.send((address, Box::new(move || handle.stop_now())));
            reactor.run().map(drop)
        }
        Kind::Loop => {
            let mut reactor = Reactor::with_config(config)?;
            reactor.add_listener(listener.into(), local, greeter())?;
            let handle = reactor.handle();
            let _ = tell.send((address, Box::new(move || handle.stop_now())));
            reactor.run().map(drop)
        }
    }
}

fn greeter() -> Factory {
    let config = Arc::new(GreetConfig::default());
    factory(move |_peer| Framed::new(Raw, Greet::new(config.clone())))
}
