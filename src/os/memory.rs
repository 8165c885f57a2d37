//! What processes and the kernel use of memory, as Linux says it (proc(5)). Elsewhere nobody knows.

use std::fs;
use std::io;

/// Bytes that belong to this process alone and were written to (`Private_Dirty`): what would be free if it ended.
///
/// # Errors
/// There is no such process, it is not ours to ask, or the system does not say.
pub fn private_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    field(&text, "Private_Dirty:").ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Bytes of the whole machine in the kernel's own structures: slab, where sockets are; stacks of threads; page tables.
/// `None` where the system does not say.
///
/// All of the slab, because the inode of each socket counts as reclaimable although it is not while the socket is open.
#[must_use]
pub fn kernel_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    ["Slab:", "KernelStack:", "PageTables:"].iter().map(|name| field(&text, name)).sum()
}

/// The process and all its descendants, as they are now.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let processes: Vec<(u32, u32)> = fs::read_dir("/proc").map_or_else(
        |_| Vec::new(),
        |folder| {
            let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
            pids.filter_map(|pid| Some((pid, parent_of(pid)?))).collect()
        },
    );
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(processes.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

/// The name, the second field, may contain anything, brackets and blanks too; the parent is the second one behind it.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// A line `NAME   123 kB`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_is_private_memory() {
        let own = std::process::id();
        let before = private_bytes(own).unwrap();
        let block = vec![1_u8; 64 << 20];
        let after = private_bytes(own).unwrap();
        assert!(block.iter().all(|byte| *byte == 1));
        // Other tests of this process allocate and free meanwhile.
        assert!(after > before + (32 << 20), "{before} {after}");
        assert!(private_bytes(u32::MAX).is_err());
    }

    #[test]
    fn the_kernel_says_how_much_it_uses() {
        assert!(kernel_bytes().unwrap() > 1 << 20);
    }

    #[test]
    fn a_child_belongs_to_the_family() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .stdin(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let family = family(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.contains(&child.id()) && family[0] == std::process::id());
    }
}
