//! What a thread has spent, and its place: processor time, waiting for a processor, and which one it may use.

use std::time::Duration;

/// Processor time of one thread since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadTime {
    /// Running.
    pub cpu: Duration,
    /// Ready to run while something else ran. Zero where the system does not say.
    pub waited: Duration,
}

impl ThreadTime {
    /// Of the calling thread: /proc/thread-self/schedstat, else clock_gettime(2) alone.
    #[must_use]
    pub fn now() -> Self {
        let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let mut numbers = schedstat.split_ascii_whitespace().map_while(|text| text.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(cpu), Some(waited)) => {
                Self { cpu: Duration::from_nanos(cpu), waited: Duration::from_nanos(waited) }
            }
            _ => Self { cpu: cpu_clock(), waited: Duration::ZERO },
        }
    }

    /// What was spent since `before`.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(before.cpu), waited: self.waited.saturating_sub(before.waited) }
    }
}

fn cpu_clock() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

/// Processors the machine has, whichever of them this process may use.
#[must_use]
pub fn online_processors() -> usize {
    let listed = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let count = listed.lines().filter(|line| line.starts_with("processor")).count();
    if count > 0 { count } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

/// Keeps the calling thread on the `number`-th of the processors it may use, counted around.
///
/// # Errors
/// sched_setaffinity(2).
#[cfg(target_os = "linux")]
pub fn pin(number: usize) -> std::io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let allowed = sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let Some(cpu) = cpus.get(number % cpus.len().max(1)) else { return Ok(()) };
    let mut only = CpuSet::new();
    only.set(*cpu);
    Ok(sched_setaffinity(None, &only)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted() {
        let before = ThreadTime::now();
        let mut value = 1_u64;
        while ThreadTime::now().since(&before).cpu < Duration::from_millis(5) {
            value = std::hint::black_box(value.wrapping_mul(3));
        }
        let spent = ThreadTime::now().since(&before);
        assert!(spent.cpu >= Duration::from_millis(5) && spent.cpu < Duration::from_secs(5));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_pinned_thread_has_one_processor() {
        std::thread::spawn(|| {
            pin(1).unwrap();
            let allowed = rustix::thread::sched_getaffinity(None).unwrap();
            assert_eq!(allowed.count(), 1);
        })
        .join()
        .unwrap();
    }
}
