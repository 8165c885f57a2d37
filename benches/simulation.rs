//! Simulated runs per minute on one core: `cargo bench --bench simulation -- [RUNS] [FIRST_SEED]`.

#![allow(clippy::print_stdout, reason = "a benchmark reports")]

use std::time::Instant;

use oneloop::testing::sim::{Report, Simulation, Sound};

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (runs, first) = (numbers.next().unwrap_or(200_000), numbers.next().unwrap_or(0));
    let mut simulation = Simulation::<Sound>::new();
    let mut sum = Report::default();
    let begin = Instant::now();
    for seed in first..first + runs {
        match simulation.run(seed) {
            Ok(report) => sum += report,
            Err(failure) => {
                println!("{failure}");
                std::process::exit(1);
            }
        }
    }
    let per_minute = runs as f64 / begin.elapsed().as_secs_f64() * 60.0;
    let per = |sum: u64, by: u64| sum as f64 / by as f64;
    println!("{per_minute:.0} runs a minute on one core; a run on average:");
    println!("  {:.1} connections", per(sum.connections, runs));
    println!("  {:.0} bytes read from each", per(sum.bytes_received, sum.connections));
    println!("  {:.0} bytes written to each", per(sum.bytes_sent, sum.connections));
    println!("  {:.0} kernel operations", per(sum.operations, runs));
    let (udp, drops) = (&sum.datagrams, sum.kernel_drops);
    println!("  {:.1} datagrams received, {:.1} sent", per(udp.received, runs), per(udp.sent, runs));
    println!("  in all {udp:?}, {drops} dropped by the kernel");
}
