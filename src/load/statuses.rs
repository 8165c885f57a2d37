//! With which status HTTP servers answered.

/// What HTTP servers answered in the measured time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Http {
    /// What was asked for, one for each target.
    pub urls: Vec<String>,
    /// With which status.
    pub statuses: Statuses,
}

/// How many answers had which status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u64)>);

impl Statuses {
    /// Counts more of one status. The first one ever seen, which mostly is the only one, is found at once.
    #[inline]
    pub fn add(&mut self, status: u16, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == status) {
            Some((_, sum)) => *sum += count,
            None => self.0.push((status, count)),
        }
    }

    /// Each status and how often it came, smallest first.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.into_iter()
    }

    /// Counts another's too.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(status, count)| self.add(*status, *count));
    }
}
