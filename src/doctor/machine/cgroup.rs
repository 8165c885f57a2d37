//! What the control group still allows, in version 1 and 2 (cgroups(7)), the groups above it included.

use super::UNLIMITED;
use super::files::{Tree, leading};

/// Where version 2 is mounted: alone, or beside version 1.
const V2_MOUNTS: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];

/// The names of one controller's files.
struct Files {
    /// In version 1, and in its file system.
    controller: &'static str,
    /// Version 1: limit, use.
    v1: (&'static str, &'static str),
    /// Version 2: limit, use.
    v2: (&'static str, &'static str),
}

const TASKS: Files =
    Files { controller: "pids", v1: ("pids.max", "pids.current"), v2: ("pids.max", "pids.current") };

const MEMORY: Files = Files {
    controller: "memory",
    v1: ("memory.limit_in_bytes", "memory.usage_in_bytes"),
    v2: ("memory.max", "memory.current"),
};

/// Tasks that may still be started.
pub(super) fn tasks_room(tree: &Tree<'_>) -> Option<u64> {
    room(tree, &TASKS, |_| 0)
}

/// Bytes that may still be used. What files keep in memory is given back when it is needed, and counts as free.
pub(super) fn memory_room(tree: &Tree<'_>) -> Option<u64> {
    let cached = |folder: &str| {
        let stat = |name| tree.field(&format!("{folder}/memory.stat"), name).and_then(|text| leading(&text));
        stat("total_inactive_file ").or_else(|| stat("inactive_file ")).unwrap_or(0)
    };
    room(tree, &MEMORY, cached)
}

/// The least that any group from this one to the top leaves, less what `reclaimable` gives back.
fn room(tree: &Tree<'_>, files: &Files, reclaimable: impl Fn(&str) -> u64) -> Option<u64> {
    let folders = folders(tree, files);
    let left = folders.into_iter().filter_map(|(folder, (limit, usage))| {
        let limit = tree.number(&format!("{folder}/{limit}"))?;
        // Version 1 writes "no limit" as the largest number of pages.
        if limit >= 1 << 62 {
            return Some(UNLIMITED);
        }
        let used = tree.number(&format!("{folder}/{usage}")).unwrap_or(0);
        Some(limit.saturating_sub(used.saturating_sub(reclaimable(&folder))))
    });
    left.min()
}

/// The folder of this process's group and of every group above it, with the names of limit and use there.
fn folders(tree: &Tree<'_>, files: &Files) -> Vec<(String, (&'static str, &'static str))> {
    let text = tree.text("proc/self/cgroup").unwrap_or_default();
    let mut found = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if controllers.is_empty() {
            let mounts = V2_MOUNTS.map(str::to_owned);
            found.extend(mounts.iter().flat_map(|mount| upwards(mount, path)).map(|at| (at, files.v2)));
        } else if controllers.split(',').any(|name| name == files.controller) {
            let mount = format!("sys/fs/cgroup/{}", files.controller);
            found.extend(upwards(&mount, path).map(|at| (at, files.v1)));
        }
    }
    found
}

/// `mount/a/b`, `mount/a`, `mount`. In a container some may not be there; then the others count.
fn upwards(mount: &str, path: &str) -> impl Iterator<Item = String> {
    let mut at = format!("{mount}{}", path.trim_end_matches('/'));
    let least = mount.len();
    let mut is_first = true;
    std::iter::from_fn(move || {
        if !std::mem::take(&mut is_first) {
            if at.len() <= least {
                return None;
            }
            at.truncate(at.rfind('/').unwrap_or(0).max(least));
        }
        Some(at.clone())
    })
}
