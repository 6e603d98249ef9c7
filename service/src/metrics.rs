//! The process's metrics, in Prometheus's text form. Parts count with the macros of the `metrics` crate.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Upper bounds for every histogram whose name ends in `_seconds`: half a millisecond to a minute, dense where the
/// promises are (1–100 ms).
const LATENCY_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];

/// Upper bounds for every other histogram: batch sizes and byte counts, in powers of four.
const SIZE_BUCKETS: &[f64] =
    &[1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];

/// A histogram keeps every sample until someone folds it into its buckets, so unscraped processes must do it
/// themselves.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static INSTALLED: OnceLock<MetricsHandle> = OnceLock::new();

/// Reads the metrics of this process. Cheap to clone.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

/// Makes this process count, and returns what reads the counts. Calling it again returns the same handle, so every
/// role of a process may call it.
pub fn install() -> MetricsHandle {
    INSTALLED.get_or_init(MetricsHandle::install).clone()
}

impl MetricsHandle {
    fn install() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), LATENCY_BUCKETS)
            .and_then(|builder| builder.set_buckets(SIZE_BUCKETS))
            .expect("the bucket lists are not empty")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            // Only an embedding program can get here; it keeps its own recorder and ours stays empty.
            tracing::warn!("another metrics recorder is installed: /metrics of this process will be empty");
        }
        Self(handle)
    }

    /// All metrics in Prometheus's text form.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps histograms small until `shutdown`. A process must run one of these as a part.
    pub async fn upkeep(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.0.run_upkeep();
        }
    }
}

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsHandle")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_buckets_not_summaries_and_both_handles_see_them() {
        let (first, second) = (install(), install());
        metrics::histogram!("punctual_test_wait_seconds").record(0.004);
        metrics::histogram!("punctual_test_batch").record(200.0);
        let text = second.render();
        assert!(text.contains("# TYPE punctual_test_wait_seconds histogram"), "{text}");
        assert!(text.contains("punctual_test_wait_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(text.contains("punctual_test_wait_seconds_bucket{le=\"0.003\"} 0"), "{text}");
        assert!(text.contains("punctual_test_batch_bucket{le=\"256\"} 1"), "{text}");
        assert_eq!(text, first.render());
    }

    #[tokio::test(start_paused = true)]
    async fn upkeep_ends_with_the_process() {
        let shutdown = CancellationToken::new();
        let upkeep = tokio::time::timeout(Duration::from_secs(60), install().upkeep(shutdown.clone()));
        let stop = async {
            tokio::time::sleep(UPKEEP_EVERY * 3).await;
            shutdown.cancel();
        };
        let (ended, ()) = tokio::join!(upkeep, stop);
        ended.expect("upkeep ends when told to");
    }
}
