//! One deadline per slot, in a binary heap that knows where each slot's entry is.
//!
//! At most one entry exists per slot, twelve bytes in all. Activity does not move it: an entry that fires
//! too early is put back at the right time, which is cheaper than moving it on every request. Nor does the
//! end of a connection remove it: the next one under that key finds an entry that fires too early.

use crate::session::Tick;

const NOWHERE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: Tick,
    key: u32,
}

/// Deadlines by slot key.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// A binary heap, earliest first.
    heap: Vec<Entry>,
    /// Where each key's entry is in `heap`, or [`NOWHERE`].
    places: Vec<u32>,
}

impl Deadlines {
    /// Room for `slots` deadlines before any memory has to be moved.
    pub(crate) fn with_capacity(slots: usize) -> Self {
        Self { heap: Vec::with_capacity(slots), places: Vec::with_capacity(slots) }
    }

    /// The earliest deadline.
    #[inline]
    pub(crate) fn next(&self) -> Option<Tick> {
        self.heap.first().map(|entry| entry.at)
    }

    /// Makes `key` fire at `at` at the latest: sets its entry, or moves it forward; never back.
    pub(crate) fn arm(&mut self, key: u32, at: Tick) {
        let slot = key as usize;
        while slot >= self.places.len() {
            self.places.push(NOWHERE);
        }
        let place = self.places[slot];
        if place == NOWHERE {
            self.heap.push(Entry { at, key });
            self.sift_up(self.heap.len() - 1);
        } else if at.is_before(self.heap[place as usize].at) {
            self.heap[place as usize].at = at;
            self.sift_up(place as usize);
        }
    }

    /// Takes one key whose deadline is due.
    #[inline]
    pub(crate) fn pop_due(&mut self, now: Tick) -> Option<u32> {
        let first = *self.heap.first()?;
        if !first.at.is_due(now) {
            return None;
        }
        self.remove_first();
        Some(first.key)
    }

    fn remove_first(&mut self) {
        let removed = self.heap.swap_remove(0);
        self.places[removed.key as usize] = NOWHERE;
        if !self.heap.is_empty() {
            self.sift_down(0);
        }
    }

    fn sift_up(&mut self, mut place: usize) {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / 2;
            if !entry.at.is_before(self.heap[parent].at) {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, entry);
    }

    fn sift_down(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let left = place * 2 + 1;
            if left >= self.heap.len() {
                break;
            }
            let right = left + 1;
            let child = if right < self.heap.len() && self.heap[right].at.is_before(self.heap[left].at) {
                right
            } else {
                left
            };
            if !self.heap[child].at.is_before(entry.at) {
                break;
            }
            self.put(place, self.heap[child]);
            place = child;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        self.places[entry.key as usize] = u32::try_from(place).expect("fewer deadlines than slots");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Span;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn tick(ms: u64) -> Tick {
        Tick::default().after(Span::from(Duration::from_millis(ms)))
    }

    #[test]
    fn fires_in_the_order_a_sorted_map_would() {
        let mut deadlines = Deadlines::default();
        let mut model: BTreeMap<u32, u64> = BTreeMap::new();
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for round in 0..20_000_u64 {
            let key = u32::try_from(random(50)).unwrap();
            match random(4) {
                1 => {
                    let now = round / 4;
                    while let Some(fired) = deadlines.pop_due(tick(now)) {
                        let at = model.remove(&fired).expect("fired without being armed");
                        assert!(at <= now && model.values().all(|other| *other >= at));
                    }
                    assert!(model.values().all(|at| *at > now));
                }
                _ => {
                    let at = round / 4 + random(100);
                    deadlines.arm(key, tick(at));
                    let entry = model.entry(key).or_insert(at);
                    *entry = (*entry).min(at);
                }
            }
            assert_eq!(deadlines.heap.len(), model.len());
            assert_eq!(deadlines.next(), model.values().min().map(|at| tick(*at)));
        }
    }
}
