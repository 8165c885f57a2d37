//! The machine a result was measured on.

use std::fs;
use std::thread;

use serde::Serialize;

/// The machine the generator ran on; null where it does not say.
#[derive(Debug, Serialize)]
pub(super) struct Host {
    hostname: Option<String>,
    kernel: Option<String>,
    cpu: Option<String>,
    cpus: Option<usize>,
}

impl Host {
    pub(super) fn here() -> Self {
        let read = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
            Some(text.trim().to_owned())
        };
        Self {
            hostname: read("hostname"),
            kernel: read("osrelease"),
            cpu: cpu_model(),
            cpus: thread::available_parallelism().ok().map(usize::from),
        }
    }
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
