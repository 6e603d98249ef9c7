//! How long messages take from their publication until they are finished.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use punctual_service::clock::Clock;
use serde::Serialize;
use sketches_ddsketch::DDSketch;

use crate::node::Context;

/// Latencies of which every quantile is known to one percent, in at most 16 KiB: with bins that grow by two percent,
/// less than 1,500 lie between a microsecond and a month. Two of them are merged without a loss, which is how a topic's
/// comes from its channels'.
#[derive(Clone, Default)]
pub(crate) struct Latencies(DDSketch);

impl Latencies {
    fn add(&mut self, latency_ns: u64) {
        self.0.add(latency_ns as f64);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        // Refused only to sketches with different bins, and all have the same.
        let _same_bins = self.0.merge(&other.0);
    }

    /// As `/stats` shows them.
    pub(crate) fn summary(&self, percentiles: &[f64]) -> LatencyStats {
        let shown = percentiles.iter().map(|quantile| {
            // None while nothing was measured; nsqd shows a zero then.
            let value = self.0.quantile(*quantile).ok().flatten().unwrap_or_default();
            Percentile { quantile: *quantile, value: value.round() as u64 }
        });
        LatencyStats { count: self.0.count(), percentiles: Some(shown.collect()) }
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies").field("count", &self.0.count()).finish_non_exhaustive()
    }
}

/// Latencies of the last while, which is between a half and the whole of a window long.
#[derive(Debug)]
pub(crate) struct LatencyWindow {
    half: Duration,
    current: Latencies,
    previous: Latencies,
    /// When the current half began.
    began: Instant,
}

impl LatencyWindow {
    pub(crate) fn new(window: Duration, now: Instant) -> Self {
        Self { half: window / 2, current: Latencies::default(), previous: Latencies::default(), began: now }
    }

    pub(crate) fn add(&mut self, latency_ns: u64, now: Instant) {
        self.move_to(now);
        self.current.add(latency_ns);
    }

    pub(crate) fn latencies(&mut self, now: Instant) -> Latencies {
        self.move_to(now);
        let mut both = self.current.clone();
        both.merge(&self.previous);
        both
    }

    fn move_to(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.began);
        if age < self.half {
            return;
        }
        let ended = std::mem::take(&mut self.current);
        if age < self.half * 2 {
            self.previous = ended;
            self.began += self.half;
        } else {
            self.previous = Latencies::default(); // nothing was finished for so long that all of it is old
            self.began = now;
        }
    }
}

/// Measures the messages of one channel.
#[derive(Debug)]
pub(crate) struct LatencyMeter {
    clock: Arc<dyn Clock>,
    window: LatencyWindow,
}

impl LatencyMeter {
    /// One for a new channel, if anybody asked for percentiles.
    pub(crate) fn of(context: &Context) -> Option<Self> {
        let options = &context.options.latency;
        (!options.e2e_processing_latency_percentiles.is_empty()).then(|| Self {
            clock: Arc::clone(&context.clock),
            window: LatencyWindow::new(options.e2e_processing_latency_window_time, Instant::now()),
        })
    }

    /// Messages were finished that had been published at these times, in nanoseconds since the Unix epoch.
    pub(crate) fn finished(&mut self, published_ns: &[i64], now: Instant) {
        if published_ns.is_empty() {
            return;
        }
        let today_ns = self.clock.now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        for published_ns in published_ns {
            // Below zero when the clock was set back meanwhile.
            let latency_ns = today_ns.saturating_sub(*published_ns);
            self.window.add(u64::try_from(latency_ns).unwrap_or(0), now);
        }
    }

    pub(crate) fn latencies(&mut self, now: Instant) -> Latencies {
        self.window.latencies(now)
    }
}

/// What `/stats` shows of a topic's or channel's end-to-end latency.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct LatencyStats {
    /// How many messages were finished within the window.
    pub(crate) count: usize,
    /// `None` while nothing is measured.
    pub(crate) percentiles: Option<Vec<Percentile>>,
}

/// One percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Percentile {
    pub(crate) quantile: f64,
    /// Nanoseconds.
    pub(crate) value: u64,
}

/// The percentiles as people read them.
impl fmt::Display for LatencyStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, percentile) in self.percentiles.iter().flatten().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            let (value, unit) = match percentile.value as f64 {
                ns if ns > 1e9 => (ns / 1e9, "s"),
                ns if ns > 1e6 => (ns / 1e6, "ms"),
                ns if ns > 1e3 => (ns / 1e3, "us"),
                ns => (ns, "ns"),
            };
            write!(f, "{separator}{value:.1}{unit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    fn counts(window: &mut LatencyWindow, now: Instant) -> usize {
        window.latencies(now).summary(&[]).count
    }

    #[test]
    fn a_latency_is_shown_for_a_half_to_a_whole_window() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = LatencyWindow::new(WINDOW, start);
        window.add(1, at(0));
        window.add(2, at(299));
        assert_eq!(counts(&mut window, at(299)), 2);
        window.add(3, at(301));
        assert_eq!(counts(&mut window, at(599)), 3);
        assert_eq!(counts(&mut window, at(601)), 1, "the first half is over");
        window.add(4, at(899));
        assert_eq!(counts(&mut window, at(901)), 1);
        assert_eq!(counts(&mut window, at(100_000)), 0, "however long nothing came");
        window.add(5, at(100_000));
        assert_eq!(counts(&mut window, at(100_299)), 1);
    }

    #[test]
    fn nothing_measured_is_zero_and_nothing_asked_for_is_null() {
        let json = |stats: &LatencyStats| serde_json::to_string(stats).unwrap();
        assert_eq!(json(&LatencyStats::default()), r#"{"count":0,"percentiles":null}"#);
        let none = Latencies::default().summary(&[0.99]);
        assert_eq!(json(&none), r#"{"count":0,"percentiles":[{"quantile":0.99,"value":0}]}"#);
    }

    #[track_caller]
    fn check(values: &[u64], expect: &str) {
        let percentiles = values.iter().map(|value| Percentile { quantile: 0.5, value: *value }).collect();
        assert_eq!(LatencyStats { count: 1, percentiles: Some(percentiles) }.to_string(), expect);
    }

    #[test]
    fn people_read_short_times() {
        check(&[], "");
        check(&[0], "0.0ns");
        check(&[1_000], "1000.0ns");
        check(&[1_001], "1.0us");
        check(&[1_250_000, 999], "1.2ms, 999.0ns");
        check(&[93_600_000_000_000], "93600.0s");
    }

    proptest! {
        #[test]
        fn a_merged_quantile_is_that_of_all_to_one_percent(
            mut first in prop::collection::vec(1_000_u64..3_000_000_000_000_000, 1..200),
            second in prop::collection::vec(1_000_u64..1_000_000_000, 0..200),
            quantile in 0.01_f64..=1.0,
        ) {
            let sketch = |latencies: &[u64]| {
                let mut sketch = Latencies::default();
                latencies.iter().for_each(|latency| sketch.add(*latency));
                sketch
            };
            let mut merged = sketch(&first);
            merged.merge(&sketch(&second));
            let shown = merged.summary(&[quantile]);
            first.extend(&second);
            first.sort_unstable();
            let exact = first[(quantile * (first.len() - 1) as f64) as usize] as f64;
            let value = shown.percentiles.unwrap()[0].value as f64;
            prop_assert_eq!(shown.count, first.len());
            prop_assert!((value - exact).abs() <= exact * 0.0101 + 1.0, "{value} for {exact}");
        }
    }
}
