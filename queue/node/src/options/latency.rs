//! Flags of the end-to-end latency.

use std::time::Duration;

use clap::Args;
use humantime::parse_duration;

/// Measuring how long messages take from their publication until they are finished
#[derive(Debug, Clone, Args)]
pub struct LatencyOptions {
    /// A percentile of the end-to-end latency to show, above 0 and at most 1; may be repeated or a list with commas, and without it nothing is measured
    #[arg(
        long = "e2e-processing-latency-percentile",
        env = "PUNCTUAL_QUEUE_E2E_PROCESSING_LATENCY_PERCENTILE",
        value_delimiter = ',',
        value_parser = parse_percentile
    )]
    pub e2e_processing_latency_percentiles: Vec<f64>,
    /// The time over which the end-to-end latency is shown
    #[arg(
        long,
        env = "PUNCTUAL_QUEUE_E2E_PROCESSING_LATENCY_WINDOW_TIME",
        default_value = "10m",
        value_parser = parse_duration
    )]
    pub e2e_processing_latency_window_time: Duration,
}

impl LatencyOptions {
    /// The percentiles as nsqd shows them: the highest first.
    pub(crate) fn percentiles(&self) -> Vec<f64> {
        let mut percentiles = self.e2e_processing_latency_percentiles.clone();
        percentiles.sort_by(|a, b| b.total_cmp(a));
        percentiles
    }
}

fn parse_percentile(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(percentile) if percentile > 0.0 && percentile <= 1.0 => Ok(percentile),
        Ok(_) => Err("it must be above 0 and at most 1".to_owned()),
        Err(_) => Err("it must be a number such as 0.99".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Node {
        #[command(flatten)]
        latency: LatencyOptions,
    }

    #[track_caller]
    fn check(arguments: &[&str], expect: Option<&[f64]>) {
        let parsed = Node::try_parse_from([&["node"], arguments].concat());
        let percentiles = parsed.as_ref().ok().map(|node| node.latency.percentiles());
        assert_eq!(percentiles.as_deref(), expect, "{parsed:?}");
    }

    #[test]
    fn percentiles_are_repeated_or_listed_and_lie_between_0_and_1() {
        const FLAG: &str = "--e2e-processing-latency-percentile";
        check(&[], Some(&[]));
        check(&[FLAG, "0.5", FLAG, "0.99"], Some(&[0.99, 0.5]));
        check(&[FLAG, "0.5,1.0, 0.95"], Some(&[1.0, 0.95, 0.5]));
        for wrong in ["0", "1.1", "-0.5", "NaN", "half", ""] {
            check(&[&format!("{FLAG}={wrong}")], None);
        }
    }
}
