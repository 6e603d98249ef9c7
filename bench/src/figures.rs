//! Figures and how they are shown.

use std::time::Duration;

/// Measured values, to be told by their quantiles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    sorted: Vec<f64>,
}

impl Sample {
    /// Of any unit; not a number counts as the greatest.
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { sorted: values }
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The value that the share `quantile` (0 to 1) does not exceed; 0 of nothing.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted.get((last as f64 * quantile).round() as usize).copied().unwrap_or(0.0)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn least(&self) -> f64 {
        self.quantile(0.0)
    }

    pub(crate) fn most(&self) -> f64 {
        self.quantile(1.0)
    }
}

/// One line: what, its value, and what was aimed for.
pub(crate) fn line(what: &str, value: &str, aim: &str) {
    let aim = if aim.is_empty() { String::new() } else { format!("   (aim: {aim})") };
    println!("  {what:<58} {value}{aim}");
}

/// A heading.
pub(crate) fn title(text: &str) {
    println!("\n{text}");
}

/// Milliseconds with two decimals.
pub(crate) fn ms(milliseconds: f64) -> String {
    format!("{milliseconds:.2} ms")
}

/// A rate with its range over rounds.
pub(crate) fn rate(rounds: &Sample) -> String {
    format!("{:.0}/s ({:.0} to {:.0})", rounds.median(), rounds.least(), rounds.most())
}

/// As a number of seconds.
pub(crate) fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let sample = Sample::new(vec![5.0, 1.0, 3.0]);
        assert_eq!((sample.least(), sample.median(), sample.most()), (1.0, 3.0, 5.0));
        assert_eq!(Sample::default().median(), 0.0);
    }
}
