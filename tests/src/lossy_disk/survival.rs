//! What a power cut leaves of what was not synced.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Decides, change by change, what of the unsynced is kept. The same seed decides the same way.
#[derive(Debug)]
pub struct Survival {
    rng: StdRng,
    /// Of a hundred changes, how many are kept.
    percent: u32,
}

impl Survival {
    /// Keeps nothing.
    pub fn none() -> Self {
        Self { rng: StdRng::seed_from_u64(0), percent: 0 }
    }

    /// Keeps nothing, one time in three; else any share, of whichever changes.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let percent = if rng.random_ratio(1, 3) { 0 } else { rng.random_range(1..=100) };
        Self { rng, percent }
    }

    pub(super) fn keeps_next(&mut self) -> bool {
        self.rng.random_ratio(self.percent, 100)
    }
}
