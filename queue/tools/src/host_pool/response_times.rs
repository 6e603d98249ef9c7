//! How quick a destination was of late.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// For how long a response time counts.
const WINDOW: Duration = Duration::from_secs(5 * 60);

/// Response times are counted together for so long.
const STEP: Duration = Duration::from_millis(2_500);

/// The response times of the last five minutes, of which the later ones weigh more.
#[derive(Debug, Default)]
pub(super) struct ResponseTimes {
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Step {
    began: Instant,
    count: u32,
    sum: Duration,
}

impl ResponseTimes {
    pub(super) fn add(&mut self, took: Duration, now: Instant) {
        self.forget(now);
        match self.steps.back_mut().filter(|step| now.saturating_duration_since(step.began) < STEP) {
            Some(step) => {
                step.count += 1;
                step.sum += took;
            }
            None => self.steps.push_back(Step { began: now, count: 1, sum: took }),
        }
    }

    /// The average, in which a step counts the less the longer it is ago; `None` when there was none of late.
    pub(super) fn average(&mut self, now: Instant) -> Option<Duration> {
        self.forget(now);
        let (mut sum, mut weights) = (0.0, 0.0);
        for step in &self.steps {
            let age = now.saturating_duration_since(step.began);
            let weight = 1.0 - age.as_secs_f64() / (WINDOW + STEP).as_secs_f64();
            sum += weight * step.sum.as_secs_f64() / f64::from(step.count);
            weights += weight;
        }
        (weights > 0.0).then(|| Duration::from_secs_f64(sum / weights))
    }

    fn forget(&mut self, now: Instant) {
        while self.steps.front().is_some_and(|step| now.saturating_duration_since(step.began) > WINDOW) {
            self.steps.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Response times of so many milliseconds at so many seconds; the average at a second, in milliseconds.
    #[track_caller]
    fn check(times: &[(u64, u64)], at_s: u64, expect: Option<u128>) {
        let start = Instant::now();
        let mut known = ResponseTimes::default();
        for (second, ms) in times {
            known.add(Duration::from_millis(*ms), start + Duration::from_secs(*second));
        }
        let average = known.average(start + Duration::from_secs(at_s));
        assert_eq!(average.map(|average| average.as_millis()), expect);
    }

    #[test]
    fn what_is_recent_weighs_more_and_what_is_old_is_forgotten() {
        check(&[], 0, None);
        check(&[(0, 100), (1, 300)], 1, Some(200));
        check(&[(0, 100)], 300, Some(100));
        check(&[(0, 100)], 301, None);
        // Half of the window ago is half as much.
        check(&[(0, 100), (151, 400)], 151, Some(299));
        check(&[(0, 100), (200, 400)], 301, Some(400));
    }
}
