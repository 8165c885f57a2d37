//! The model asked for, given the sockets: each serves until a drain has ended or a second signal came.

use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use super::args::Model;
use super::listen::{Bound, BoundSocket};
use super::services::Services;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::models::{self, Blocking, Handle, SpinKernel};
use crate::os::datagrams::DatagramPort;
use crate::os::sockets::StreamListener;
use crate::reactor::{Config, Outcome, Reactor};

/// Serves. `ready` is called once everything is set up, before anybody is accepted.
pub(super) fn run(
    model: Model,
    config: Config,
    bound: Vec<Bound>,
    services: &Services,
    ready: impl FnOnce() -> Result<(), super::exit::Failure>,
) -> Result<Outcome, super::exit::Failure> {
    match model {
        Model::Loop => {
            let mut reactor = Reactor::with_config(config)?;
            reactor.watch_signals()?;
            let handle = reactor.handle();
            services.hooks.stop_with(move || handle.stop());
            add_all(&mut reactor, bound, services)?;
            ready()?;
            Ok(reactor.run()?)
        }
        Model::Spin => {
            let kernel = SpinKernel::new().map_err(Error::Poll)?;
            let handle = kernel.handle();
            let mut reactor = Reactor::with_kernel(kernel, config);
            add_all(&mut reactor, bound, services)?;
            obey_signals(handle, services)?;
            ready()?;
            Ok(reactor.run()?)
        }
        Model::Threads => run_blocking(models::Model::Threads, config, bound, services, ready),
        Model::Iterative => run_blocking(models::Model::Iterative, config, bound, services, ready),
    }
}

fn run_blocking(
    model: models::Model,
    config: Config,
    bound: Vec<Bound>,
    services: &Services,
    ready: impl FnOnce() -> Result<(), super::exit::Failure>,
) -> Result<Outcome, super::exit::Failure> {
    let mut server = Blocking::new(model, config)?;
    for Bound { address, socket, is_shared } in bound {
        match (socket, &services.datagrams, address.endpoint()) {
            (BoundSocket::Datagrams(socket), Some(make), Some(local)) => {
                server.add_port(socket, local, make.clone());
            }
            (BoundSocket::Stream(listener), ..) => {
                let make = services.stream.clone();
                if is_shared {
                    server.add_shared_listener(listener, address, make);
                } else {
                    server.add_listener(listener, address, make);
                }
            }
            _ => {}
        }
    }
    obey_signals(server.handle(), services)?;
    ready()?;
    Ok(server.run()?)
}

fn add_all<K>(reactor: &mut Reactor<K>, bound: Vec<Bound>, services: &Services) -> Result<(), Error>
where
    K: Kernel<Datagrams = DatagramPort>,
    K::Listener: From<StreamListener>,
{
    for Bound { address, socket, is_shared } in bound {
        match (socket, &services.datagrams, address.endpoint()) {
            (BoundSocket::Datagrams(socket), Some(make), Some(local)) => {
                let bind = |source| Error::Bind { address: address.to_string(), source };
                reactor.add_port(DatagramPort::new(socket).map_err(bind)?, local, make)?;
            }
            (BoundSocket::Stream(listener), ..) => {
                let make = services.stream.clone();
                if is_shared {
                    reactor.add_shared_listener(listener.into(), address, make)?;
                } else {
                    reactor.add_listener(listener.into(), address, make)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The loop has signals on its own poll; for the other models a thread waits for them.
fn obey_signals(handle: Handle, services: &Services) -> Result<(), Error> {
    let stop = handle.clone();
    services.hooks.stop_with(move || stop.stop());
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1]).map_err(Error::Signals)?;
    let obey = move || {
        for signal in signals.forever() {
            match signal {
                SIGUSR1 => handle.report(),
                stop => handle.signal(stop),
            }
        }
    };
    thread::Builder::new().spawn(obey).map(drop).map_err(Error::Signals)
}
