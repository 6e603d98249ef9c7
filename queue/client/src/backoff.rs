//! How long to wait before dialling again.

use std::time::Duration;

use rand::Rng;

/// Delays that double from `first` up to `longest`, each shortened by up to half at random, so that a thousand
/// clients of a restarted node do not return in step.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// The next delay.
    pub(crate) fn next(&mut self) -> Duration {
        let ceiling = self.first.saturating_mul(1_u32 << self.failures.min(16)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Starts from the first delay again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// `interval`, up to 30 % shorter or longer.
pub(crate) fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::rng().random_range(0.7..=1.3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        for ceiling_ms in [100, 200, 400, 800, 1_600, 2_000, 2_000] {
            let delay = backoff.next();
            let ceiling = Duration::from_millis(ceiling_ms);
            assert!((ceiling / 2..=ceiling).contains(&delay), "{delay:?} of {ceiling:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }
}
