//! Whether something stays as it is: its first tenth against its last, after a tenth to warm up.

use std::fmt;

/// What is seen of a node at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) memory_bytes: u64,
    pub(super) descriptors: usize,
    /// Messages that are published and not yet consumed.
    pub(super) backlog: usize,
}

/// How one figure went.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) what: &'static str,
    unit: &'static str,
    /// Means.
    first: f64,
    last: f64,
    /// By which the last may be above the first.
    allowed: f64,
}

/// Of memory and descriptors, and of the backlog, which shows that the node kept up with `rate` messages per second.
pub(super) fn verdicts(sightings: &[Sighting], rate: f64) -> [Verdict; 3] {
    let of = |what, unit, figure: &dyn Fn(&Sighting) -> f64, allowed: &dyn Fn(f64) -> f64| {
        let figures: Vec<f64> = sightings.iter().map(figure).collect();
        let (first, last) = ends(&figures);
        Verdict { what, unit, first, last, allowed: allowed(first) }
    };
    // What an allocator and a handful of segments come and go by.
    [
        of("memory", "MB", &|seen| seen.memory_bytes as f64 / 1e6, &|first| (first * 0.05).max(2.0)),
        of("descriptors", "open", &|seen| seen.descriptors as f64, &|first| (first * 0.05).max(2.0)),
        of("backlog", "messages", &|seen| seen.backlog as f64, &|_| rate / 2.0),
    ]
}

/// Means of the first and of the last tenth of what follows the warm-up.
fn ends(figures: &[f64]) -> (f64, f64) {
    let warm = &figures[figures.len() / 10..];
    let tenth = (warm.len() / 10).max(1).min(warm.len());
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    (mean(&warm[..tenth]), mean(&warm[warm.len() - tenth..]))
}

impl Verdict {
    pub(super) fn is_flat(&self) -> bool {
        self.last <= self.first + self.allowed
    }

    pub(super) fn aim(&self) -> String {
        format!("<= {:.1} {} more", self.allowed, self.unit)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_flat() { "flat" } else { "GROWN" };
        write!(out, "{verdict}: first tenth {:.1}, last tenth {:.1} {}", self.first, self.last, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(memory: impl Fn(u64) -> u64) -> bool {
        let sightings: Vec<_> = (0..1000)
            .map(|second| Sighting { memory_bytes: memory(second), descriptors: 40, backlog: 100 })
            .collect();
        verdicts(&sightings, 1000.0).iter().all(Verdict::is_flat)
    }

    #[test]
    fn what_grows_only_while_it_warms_up_is_flat() {
        assert!(flat(|second| 20_000_000 + second.min(90) * 1_000_000));
    }

    #[test]
    fn a_slow_leak_is_not_flat() {
        assert!(!flat(|second| 20_000_000 + second * 3_000));
    }

    #[test]
    fn saws_are_flat() {
        assert!(flat(|second| 20_000_000 + second % 50 * 100_000));
    }
}
