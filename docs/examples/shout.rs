//! A server in twenty lines: every line comes back in capitals. The README shows it from `use` on.

#![allow(clippy::print_stdout, reason = "a program of its own may print")]

use oneloop::codec::Lines;
use oneloop::session::{Context, Framed, Service, factory};
use oneloop::{Error, Reactor};

struct Shout;

impl Service for Shout {
    fn on_frame(&mut self, frame: &[u8], cx: &mut Context<'_>) {
        cx.reply(&frame.to_ascii_uppercase());
    }
}

fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:9999".to_owned());
    let mut reactor = Reactor::new()?;
    let make = factory(|_peer| Framed::new(Lines::default(), Shout));
    let address = reactor.listen(address.parse().expect("a numeric HOST:PORT"), make)?;
    println!("listening tcp://{address}");
    reactor.run()?;
    Ok(())
}
