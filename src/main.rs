//! placeholder
fn main() {
    let mut r = oneloop::Reactor::new().unwrap();
    let a = std::env::args().nth(1).unwrap().parse().unwrap();
    r.listen(
        a,
        oneloop::session::factory(|_| {
            oneloop::session::Framed::new(oneloop::codec::Raw, oneloop::services::Echo)
        }),
    )
    .unwrap();
    r.watch_signals().unwrap();
    r.run().unwrap();
}
