//! The whole reactor under a kernel that does what kernels may do, tens of thousands of times.
//!
//! ONELOOP_SEEDS=N runs N seeds instead and says how fast; ONELOOP_SEED=S replays one.

#![allow(clippy::print_stdout, reason = "asked for by the environment")]

use oneloop::testing::sim::{Simulation, Sound};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_seed_survives() {
    let mut simulation = Simulation::<Sound>::new();
    let one = number("ONELOOP_SEED");
    let seeds = one.map_or(0..number("ONELOOP_SEEDS").unwrap_or(30_000), |seed| seed..seed + 1);
    let mut failures = 0;
    for seed in seeds {
        match simulation.run(seed) {
            Ok(report) if one.is_some() => println!("{report:?}"),
            Ok(_) => {}
            Err(failure) => {
                failures += 1;
                if failures < 12 {
                    println!("{failure}");
                }
            }
        }
    }
    assert_eq!(failures, 0);
}
