//! How often a run is tried and how long it waits in between.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::attempt::AttemptReport;
use crate::field::FieldError;

/// When a failed attempt is followed by another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Tries in all, 1 to 1,000.
    pub max_tries: u32,
    /// How the wait grows.
    pub backoff: Backoff,
    /// Waits a random time between zero and the delay, so that failures do not come back in step.
    pub jitter: bool,
    /// Kinds of error that end the run at once.
    #[serde(default)]
    pub non_retryable: Vec<String>,
}

/// How the wait between tries grows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// initial × factor^(tries − 1), at most cap.
    Exponential {
        /// After the first try.
        initial: Duration,
        /// 1.0 to 10.0.
        factor: f64,
        /// No wait is longer.
        cap: Duration,
    },
    /// Always the same.
    Fixed(Duration),
    /// initial + increment × (tries − 1), at most cap.
    Linear {
        /// After the first try.
        initial: Duration,
        /// How much longer each further wait is.
        increment: Duration,
        /// No wait is longer.
        cap: Duration,
    },
    /// As listed; the last of them from then on.
    List(Vec<Duration>),
}

/// Whether another try follows a bad end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryDecision {
    /// It does.
    Retry {
        /// After this long.
        delay: Duration,
    },
    /// It does not.
    GiveUp {
        /// Why.
        reason: GiveUp,
    },
}

/// Why there is no further try. Its text is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GiveUp {
    /// All tries are used.
    TriesUsed {
        /// How many there were.
        tries: u32,
    },
    /// The policy lists this kind of error.
    NonRetryableKind(String),
    /// The handler said that trying again is of no use.
    NonRetryable,
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TriesUsed { tries: 1 } => f.write_str("its only try is used"),
            Self::TriesUsed { tries } => write!(f, "all {tries} tries are used"),
            Self::NonRetryableKind(kind) => write!(f, "an error of kind `{kind}` is not retried"),
            Self::NonRetryable => f.write_str("the handler asked for no further try"),
        }
    }
}

impl RetryPolicy {
    /// The most tries a policy may allow.
    pub const MOST_TRIES: u32 = 1_000;
    /// No wait between tries is longer, whoever asks for it.
    pub const MOST_DELAY: Duration = Duration::from_secs(7 * 86_400);
    /// The most kinds of error a policy may list.
    pub const MOST_KINDS: usize = 100;

    /// Decides after a bad end. `tries_used` counts this try; `random` is uniform in `0.0..1.0` and only matters with
    /// jitter. A wait asked for by the handler wins over the policy's, up to [`Self::MOST_DELAY`], and is not jittered.
    pub fn after(&self, tries_used: u32, report: &AttemptReport, random: f64) -> RetryDecision {
        if report.non_retryable {
            return RetryDecision::GiveUp { reason: GiveUp::NonRetryable };
        }
        if !report.error_kind.is_empty() && self.non_retryable.contains(&report.error_kind) {
            return RetryDecision::GiveUp { reason: GiveUp::NonRetryableKind(report.error_kind.clone()) };
        }
        if tries_used >= self.max_tries {
            return RetryDecision::GiveUp { reason: GiveUp::TriesUsed { tries: tries_used } };
        }
        if let Some(delay) = report.retry_after {
            return RetryDecision::Retry { delay: delay.min(Self::MOST_DELAY) };
        }
        let delay = self.backoff.delay(tries_used);
        let delay = if self.jitter { fraction(delay, random) } else { delay };
        RetryDecision::Retry { delay }
    }

    /// Checks the bounds that the types leave open.
    ///
    /// # Errors
    /// Each field that is out of bounds, as a path within the policy.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        if !(1..=Self::MOST_TRIES).contains(&self.max_tries) {
            errors.push(FieldError::new(
                "max_tries",
                format!("{} is not a number of tries from 1 to {}", self.max_tries, Self::MOST_TRIES),
            ));
        }
        self.backoff.check(&mut errors);
        if self.non_retryable.len() > Self::MOST_KINDS {
            errors.push(FieldError::new(
                "non_retryable",
                format!("{} kinds of error, the most is {}", self.non_retryable.len(), Self::MOST_KINDS),
            ));
        }
        for (index, kind) in self.non_retryable.iter().enumerate() {
            if kind.is_empty() {
                errors.push(FieldError::new(format!("non_retryable[{index}]"), "is empty"));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl Backoff {
    /// The most waits of a list.
    pub const MOST_LISTED: usize = 100;

    fn check(&self, errors: &mut Vec<FieldError>) {
        match self {
            Self::Exponential { initial, factor, cap } => {
                if !(1.0..=10.0).contains(factor) {
                    errors.push(FieldError::new(
                        "exponential.factor",
                        format!("{factor} is not from 1.0 to 10.0"),
                    ));
                }
                check_delay("exponential.initial", *initial, errors);
                check_delay("exponential.cap", *cap, errors);
                check_cap("exponential.initial", *initial, *cap, errors);
            }
            Self::Fixed(delay) => check_delay("fixed", *delay, errors),
            Self::Linear { initial, increment, cap } => {
                check_delay("linear.initial", *initial, errors);
                check_delay("linear.increment", *increment, errors);
                check_delay("linear.cap", *cap, errors);
                check_cap("linear.initial", *initial, *cap, errors);
            }
            Self::List(delays) => {
                if delays.is_empty() || delays.len() > Self::MOST_LISTED {
                    let message = format!("has {} waits, expected 1 to {}", delays.len(), Self::MOST_LISTED);
                    errors.push(FieldError::new("list.delays", message));
                }
                for (index, delay) in delays.iter().enumerate() {
                    check_delay(&format!("list.delays[{index}]"), *delay, errors);
                }
            }
        }
    }

    /// The wait after this many tries, without jitter.
    fn delay(&self, tries: u32) -> Duration {
        match self {
            Self::Exponential { initial, factor, cap } => {
                if initial.is_zero() {
                    // Zero times infinity would be no number.
                    return Duration::ZERO;
                }
                // In floating point, where growing without bound is infinity and not an overflow.
                let seconds = initial.as_secs_f64() * factor.powf(f64::from(tries.saturating_sub(1)));
                Duration::try_from_secs_f64(seconds).map_or(*cap, |delay| delay.min(*cap))
            }
            Self::Fixed(delay) => *delay,
            Self::Linear { initial, increment, cap } => {
                initial.saturating_add(increment.saturating_mul(tries.saturating_sub(1))).min(*cap)
            }
            Self::List(delays) => {
                let place = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
                delays.get(place).or(delays.last()).copied().unwrap_or_default()
            }
        }
    }
}

fn check_delay(field: &str, delay: Duration, errors: &mut Vec<FieldError>) {
    if delay > RetryPolicy::MOST_DELAY {
        errors.push(FieldError::new(field, format!("{delay:?} is more than 7 days")));
    }
}

fn check_cap(field: &str, initial: Duration, cap: Duration, errors: &mut Vec<FieldError>) {
    if initial > cap {
        errors.push(FieldError::new(field, format!("{initial:?} is more than the cap of {cap:?}")));
    }
}

/// `random` of `whole`; nothing that a caller passes for `random` makes it more than `whole`.
fn fraction(whole: Duration, random: f64) -> Duration {
    let random = if random.is_nan() { 1.0 } else { random.clamp(0.0, 1.0) };
    whole.mul_f64(random).min(whole)
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_tries: 3,
            backoff: Backoff::Exponential {
                initial: Duration::from_secs(1),
                factor: 2.0,
                cap: Duration::from_secs(300),
            },
            jitter: true,
            non_retryable: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
