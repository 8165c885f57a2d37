//! The threads of this process as the kernel has them: how many, what they have used, how often they were switched.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::Duration;

/// The threads that were started after [`Tasks::before`]: those of a server that runs beside the experiment.
#[derive(Debug)]
pub struct Tasks {
    others: BTreeSet<u32>,
}

/// What some threads have used together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Threads.
    pub threads: usize,
    /// Of them, how many sleep.
    pub asleep: usize,
    /// Processor time.
    pub cpu: Duration,
    /// How often one gave its processor up because it had to wait: `voluntary_ctxt_switches`, proc_pid_status(5).
    pub waits: u64,
}

impl Tasks {
    /// Everything that runs already is left out.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn before() -> io::Result<Self> {
        Ok(Self { others: all()? })
    }

    /// What the threads started since have used so far, of those that still run.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn used(&self) -> io::Result<Used> {
        let mut used = Used::default();
        for id in all()?.difference(&self.others) {
            // One that ends while we look is left out.
            let read = |file: &str| fs::read_to_string(format!("/proc/self/task/{id}/{file}")).ok();
            let (Some(status), Some(schedstat)) = (read("status"), read("schedstat")) else { continue };
            used.threads += 1;
            used.asleep += usize::from(field(&status, "State").starts_with('S'));
            used.waits += field(&status, "voluntary_ctxt_switches").parse().unwrap_or(0);
            let nanos = schedstat.split(' ').next().and_then(|first| first.parse().ok());
            used.cpu += Duration::from_nanos(nanos.unwrap_or(0));
        }
        Ok(used)
    }
}

fn all() -> io::Result<BTreeSet<u32>> {
    let entries = fs::read_dir("/proc/self/task")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The value of a line `name:\tvalue`.
fn field<'t>(status: &'t str, name: &str) -> &'t str {
    let value = |line: &'t str| line.strip_prefix(name)?.strip_prefix(':');
    status.lines().find_map(value).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(field(status, "voluntary_ctxt_switches"), "12");
        assert_eq!(field(status, "ctxt_switches"), "");
    }

    #[test]
    fn a_thread_is_counted_from_its_start() {
        let tasks = Tasks::before().unwrap();
        let (keep, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv().is_err());
        assert!(tasks.used().unwrap().threads >= 1);
        drop(keep);
        assert!(thread.join().unwrap());
    }
}
