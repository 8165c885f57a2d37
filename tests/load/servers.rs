//! Servers to be measured: our own, on a thread, until they are dropped.

use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use oneloop::Address;
use oneloop::reactor::{Handle, Reactor};
use oneloop::session::{DatagramFactory, Protocol, factory};

/// A reactor in a thread of its own.
pub(crate) struct Server {
    pub(crate) address: Address,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `make` on a free TCP port.
    pub(crate) fn start<P: Protocol + 'static>(make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        Self::run(move |reactor| {
            let make = factory(move |_| make());
            Address::Tcp(reactor.listen("127.0.0.1:0".parse().unwrap(), make).unwrap())
        })
    }

    /// Serves `make` on a free UDP port.
    pub(crate) fn start_udp(make: DatagramFactory) -> Self {
        Self::run(move |reactor| {
            let any = "127.0.0.1:0".parse().unwrap();
            Address::Udp(reactor.listen_udp(any, &Default::default(), &make).unwrap())
        })
    }

    fn run(listen: impl FnOnce(&mut Reactor) -> Address + Send + 'static) -> Self {
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            let mut reactor = Reactor::new().unwrap();
            let address = listen(&mut reactor);
            tell.send((address, reactor.handle())).unwrap();
            reactor.run().unwrap();
        });
        let (address, handle) = told.recv().unwrap();
        Self { address, handle, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.stop_now();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
