//! What connections cost in memory: what there is more when they are open.

use std::net::UdpSocket;

use crate::address::Address;
use crate::os::memory::{family, kernel_bytes, private_bytes};

/// What there was before.
pub(super) struct Gauge<'a> {
    pids: &'a [u32],
    kernel: Option<u64>,
    target: Result<u64, String>,
}

/// What there is more, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    /// In the kernel, of the whole machine.
    pub(super) kernel: Option<i64>,
    /// In the target's processes: `None` when nobody asked, else what went wrong.
    pub(super) target: Option<Result<i64, String>>,
}

impl<'a> Gauge<'a> {
    pub(super) fn begin(pids: &'a [u32]) -> Self {
        Self { pids, kernel: kernel_bytes(), target: of_families(pids) }
    }

    pub(super) fn end(&self) -> Memory {
        let target = match (&self.target, of_families(self.pids)) {
            (Ok(before), Ok(after)) => Ok(after.cast_signed() - before.cast_signed()),
            (Err(why), _) => Err(why.clone()),
            (_, Err(why)) => Err(why),
        };
        Memory {
            kernel: self
                .kernel
                .zip(kernel_bytes())
                .map(|(before, after)| after.cast_signed() - before.cast_signed()),
            target: (!self.pids.is_empty()).then_some(target),
        }
    }
}

fn of_families(pids: &[u32]) -> Result<u64, String> {
    let members = pids.iter().flat_map(|pid| family(*pid));
    members.map(|pid| private_bytes(pid).map_err(|error| format!("process {pid}: {error}"))).sum()
}

/// Whether the target is on this machine: then its end of each connection costs memory here too.
pub(super) fn is_here(target: &Address) -> bool {
    match target {
        Address::Unix(_) => true,
        // Only an address of one's own can be bound.
        Address::Tcp(addr) => addr.ip().is_loopback() || UdpSocket::bind((addr.ip(), 0)).is_ok(),
        _ => false,
    }
}
