//! Simulated runs per minute on one core: `cargo bench --bench simulation -- [RUNS] [FIRST_SEED]`.

#![allow(clippy::print_stdout, reason = "a benchmark reports")]

use std::time::Instant;

use oneloop::testing::sim::{Simulation, Sound};

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (runs, first) = (numbers.next().unwrap_or(200_000), numbers.next().unwrap_or(0));
    let mut simulation = Simulation::<Sound>::new();
    let (mut connections, mut bytes, mut operations, mut failures) = (0, 0, 0, 0);
    let begin = Instant::now();
    for seed in first..first + runs {
        match simulation.run(seed) {
            Ok(report) => {
                connections += report.connections;
                bytes += report.bytes;
                operations += report.operations;
            }
            Err(failure) => {
                failures += 1;
                if failures <= 10 {
                    println!("{failure}");
                }
            }
        }
    }
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    let (runs, per) = (runs as f64, |sum: u64| sum as f64 / runs as f64);
    println!("runs_per_minute={:.0} failures={failures}", runs / minutes);
    let each = per(bytes) / per(connections).max(1.0);
    println!(
        "a run: connections={:.1} bytes_each={each:.0} operations={:.0}",
        per(connections),
        per(operations)
    );
}
