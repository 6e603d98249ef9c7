//! A line about every so many requests: how long they took.

use std::fmt;
use std::time::Duration;

/// Collects how long requests took.
#[derive(Debug)]
pub(crate) struct Latencies {
    every: usize,
    taken: Vec<Duration>,
}

impl Latencies {
    /// Sums up after every so many requests; never with 0.
    pub(crate) fn new(every: usize) -> Self {
        Self { every, taken: Vec::new() }
    }

    /// A request took so long. The summary, when it is time for one.
    pub(crate) fn add(&mut self, took: Duration) -> Option<Summary> {
        if self.every == 0 {
            return None;
        }
        self.taken.push(took);
        if self.taken.len() < self.every {
            return None;
        }
        let mut taken = std::mem::take(&mut self.taken);
        taken.sort_unstable();
        let sum: Duration = taken.iter().sum();
        Some(Summary {
            count: taken.len(),
            p99: percentile(&taken, 99),
            p95: percentile(&taken, 95),
            average: sum / u32::try_from(taken.len()).unwrap_or(u32::MAX),
        })
    }
}

/// The smallest of the sorted times that so many percent do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// How long so many requests took. Written as NSQ's tools write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    count: usize,
    p99: Duration,
    p95: Duration,
    average: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let Self { count, p99, p95, average } = self;
        let (p99, p95, average) = (ms(*p99), ms(*p95), ms(*average));
        write!(f, "finished {count} - 99th: {p99:.2}ms - 95th: {p95:.2}ms - avg: {average:.2}ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_so_many_requests_are_summed_up() {
        let mut latencies = Latencies::new(100);
        let mut lines = Vec::new();
        for ms in (1..=100).chain(std::iter::repeat_n(5, 150)) {
            lines.extend(latencies.add(Duration::from_millis(ms)).map(|summary| summary.to_string()));
        }
        let expect = [
            "finished 100 - 99th: 99.00ms - 95th: 95.00ms - avg: 50.50ms",
            "finished 100 - 99th: 5.00ms - 95th: 5.00ms - avg: 5.00ms",
        ];
        assert_eq!(lines, expect);
    }

    #[test]
    fn one_request_is_its_own_summary_and_none_is_made_when_not_asked() {
        let summary = Latencies::new(1).add(Duration::from_micros(1_250)).unwrap();
        assert_eq!(summary.to_string(), "finished 1 - 99th: 1.25ms - 95th: 1.25ms - avg: 1.25ms");
        assert_eq!(Latencies::new(0).add(Duration::from_secs(1)), None);
    }
}
