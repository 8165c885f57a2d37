//! Choices counted up like an odometer: the last one first, and each way that exists exactly once.

/// One choice that was made: `way` of `ways`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wheel {
    way: u8,
    ways: u8,
}

/// Walks depth-first through everything that a run may be asked to choose.
///
/// Way 0 is what a kind kernel does. A choice that may come again and again for ever (one more EINTR) makes the
/// tree infinite; a bound on how many choices differ from 0 makes it finite again.
#[derive(Debug, Clone, Default)]
pub(super) struct Odometer {
    wheels: Vec<Wheel>,
    /// The next choice of this run. Invariant: `at <= wheels.len()`.
    at: usize,
    /// Choices from here on count against the bound.
    free: usize,
    /// The most choices other than 0.
    bound: usize,
    spent: usize,
}

impl Odometer {
    /// At the first world, in which every choice is 0; at most `bound` choices of a run will be another.
    pub(super) const fn new(bound: usize) -> Self {
        Self { wheels: Vec::new(), at: 0, free: usize::MAX, bound, spent: 0 }
    }

    /// At the world of these choices.
    pub(super) fn at(choices: &[u8]) -> Self {
        // The number of ways is not known yet, and of no consequence: this odometer is not moved on.
        let wheels = choices.iter().map(|&way| Wheel { way, ways: u8::MAX }).collect();
        Self { wheels, ..Self::new(0) }
    }

    /// Begins a run.
    pub(super) const fn rewind(&mut self) {
        self.at = 0;
        self.free = usize::MAX;
    }

    /// What was chosen so far belongs to the setting: it is not counted against the bound.
    pub(super) fn end_setting(&mut self) {
        self.free = self.at;
        self.spent = self.wheels[self.at..].iter().filter(|wheel| wheel.way > 0).count();
    }

    /// The choice among `ways` of this world. Cold for the sake of runs that follow from a seed.
    #[cold]
    #[inline(never)]
    pub(super) fn choose(&mut self, ways: usize) -> usize {
        let Ok(ways) = u8::try_from(ways) else { return 0 };
        if ways < 2 {
            return 0;
        }
        if self.at == self.wheels.len() {
            if self.free != usize::MAX && self.spent >= self.bound {
                return 0;
            }
            self.wheels.push(Wheel { way: 0, ways });
        }
        let wheel = self.wheels[self.at];
        debug_assert!(wheel.ways == ways || wheel.ways == u8::MAX, "the same choices, the same run");
        self.at += 1;
        usize::from(wheel.way)
    }

    /// Goes on to the next world; false when this was the last.
    pub(super) fn advance(&mut self) -> bool {
        self.wheels.truncate(self.at);
        while let Some(wheel) = self.wheels.last_mut() {
            if wheel.way + 1 < wheel.ways {
                wheel.way += 1;
                return true;
            }
            self.wheels.pop();
        }
        false
    }

    /// The choices of this world, up to the last that is not 0: those after it follow.
    pub(super) fn choices(&self) -> Vec<u8> {
        let used = &self.wheels[..self.at];
        let len = used.iter().rposition(|wheel| wheel.way > 0).map_or(0, |last| last + 1);
        used[..len].iter().map(|wheel| wheel.way).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every world of a run that asks so.
    fn worlds(bound: usize, mut run: impl FnMut(&mut Odometer) -> Vec<usize>) -> Vec<Vec<usize>> {
        let mut odometer = Odometer::new(bound);
        let mut found = Vec::new();
        loop {
            odometer.rewind();
            found.push(run(&mut odometer));
            if !odometer.advance() {
                return found;
            }
        }
    }

    #[test]
    fn every_way_is_gone_once_also_where_choices_depend_on_earlier_ones() {
        let all = worlds(usize::MAX, |odometer| {
            let first = odometer.choose(3);
            odometer.end_setting();
            (0..first).map(|_| odometer.choose(2)).chain([first]).collect()
        });
        assert_eq!(all, [&[0][..], &[0, 1], &[1, 1], &[0, 0, 2], &[0, 1, 2], &[1, 0, 2], &[1, 1, 2]]);
    }

    #[test]
    fn a_bound_counts_what_differs_and_not_the_setting() {
        let run = |odometer: &mut Odometer| -> Vec<usize> {
            let setting = odometer.choose(2);
            odometer.end_setting();
            [setting].into_iter().chain((0..4).map(|_| odometer.choose(3))).collect()
        };
        let mut all = worlds(2, run);
        let differ = |world: &Vec<usize>| world[1..].iter().filter(|way| **way > 0).count();
        assert!(all.iter().all(|world| differ(world) <= 2), "{all:?}");
        // 2 settings, of 4 choices none, one, or two of the other 2 ways.
        assert_eq!(all.len(), 2 * (1 + 4 * 2 + 6 * 4));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 66);
    }

    #[test]
    fn endless_choices_end_with_a_bound() {
        let retries = worlds(3, |odometer| {
            odometer.end_setting();
            let again = std::iter::from_fn(|| (odometer.choose(2) == 1).then_some(1));
            again.collect()
        });
        assert_eq!(retries.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_world_is_found_again_by_its_choices() {
        let mut odometer = Odometer::at(&[1, 2]);
        odometer.rewind();
        assert_eq!([odometer.choose(2), odometer.choose(3)], [1, 2]);
        odometer.end_setting();
        assert_eq!(odometer.choose(3), 0);
        assert_eq!(odometer.choices(), [1, 2]);
    }
}
