//! Policies: overlap, concurrency, priority, misfire, retry and time-outs, with their defaults.

use std::time::Duration;

use punctual_proto::v1;
use punctual_scheduler_domain::concurrency::{Concurrency, KeyTemplate};
use punctual_scheduler_domain::job::{CatchUp, Misfire, Overlap};
use punctual_scheduler_domain::priority::Priority;
use punctual_scheduler_domain::retention::{Retention, RetentionClass};
use punctual_scheduler_domain::retry::{Backoff, RetryPolicy};
use punctual_scheduler_domain::timeouts::Timeouts;

use super::fields::{Fields, join};
use super::time::{duration, duration_to_proto};
use crate::api::error::ApiError;
use crate::store::TriggerOptions;

pub(super) fn read_overlap(fields: &mut Fields, at: &str, overlap: i32) -> Option<Overlap> {
    Some(match fields.choice(at, overlap)? {
        v1::Overlap::Unspecified => Overlap::default(),
        v1::Overlap::Allow => Overlap::Allow,
        v1::Overlap::Skip => Overlap::Skip,
        v1::Overlap::QueueOne => Overlap::QueueOne,
        v1::Overlap::QueueAll => Overlap::QueueAll,
        v1::Overlap::CancelRunning => Overlap::CancelRunning,
        v1::Overlap::KillRunning => Overlap::KillRunning,
    })
}

/// What a trigger has otherwise than its job.
pub(in crate::api) fn read_trigger_options(
    overlap: i32,
    priority: Option<u32>,
) -> Result<TriggerOptions, ApiError> {
    let mut fields = Fields::new();
    let given = overlap != v1::Overlap::Unspecified as i32;
    let overlap = if given { read_overlap(&mut fields, "overlap", overlap) } else { None };
    let priority = priority.and_then(|number| fields.take("priority", Priority::new(number)));
    fields.finish(Some(TriggerOptions { overlap, priority }))
}

/// What is not set is the middle one.
pub(super) fn read_priority(fields: &mut Fields, at: &str, priority: Option<u32>) -> Priority {
    priority.and_then(|number| fields.take(at, Priority::new(number))).unwrap_or_default()
}

/// Zero means one.
pub(super) fn at_least_one(number: u32) -> u32 {
    number.max(1)
}

pub(super) fn read_concurrency(
    fields: &mut Fields,
    at: &str,
    given: Option<&v1::Concurrency>,
) -> Option<Concurrency> {
    let given = given?;
    let key = fields.take(join(at, "key"), KeyTemplate::new(given.key.as_str()))?;
    Some(Concurrency { key, limit: at_least_one(given.limit) })
}

pub(super) fn concurrency_to_proto(concurrency: &Concurrency) -> v1::Concurrency {
    v1::Concurrency { key: concurrency.key.to_string(), limit: concurrency.limit }
}

pub(super) fn overlap_to_proto(overlap: Overlap) -> v1::Overlap {
    match overlap {
        Overlap::Allow => v1::Overlap::Allow,
        Overlap::Skip => v1::Overlap::Skip,
        Overlap::QueueOne => v1::Overlap::QueueOne,
        Overlap::QueueAll => v1::Overlap::QueueAll,
        Overlap::CancelRunning => v1::Overlap::CancelRunning,
        Overlap::KillRunning => v1::Overlap::KillRunning,
    }
}

pub(super) fn read_misfire(fields: &mut Fields, at: &str, misfire: i32) -> Option<Misfire> {
    Some(match fields.choice(at, misfire)? {
        v1::Misfire::Unspecified => Misfire::default(),
        v1::Misfire::Skip => Misfire::Skip,
        v1::Misfire::Latest => Misfire::Latest,
        v1::Misfire::All => Misfire::All,
    })
}

pub(super) fn misfire_to_proto(misfire: Misfire) -> v1::Misfire {
    match misfire {
        Misfire::Skip => v1::Misfire::Skip,
        Misfire::Latest => v1::Misfire::Latest,
        Misfire::All => v1::Misfire::All,
    }
}

/// What is not set is as in the default.
pub(super) fn read_catchup(fields: &mut Fields, at: &str, job: &v1::Job) -> CatchUp {
    let mut catchup = CatchUp::default();
    set(fields, join(at, "misfire_after"), &mut catchup.after, job.misfire_after.as_ref());
    // Who is more patient than the usual window need not say so twice.
    catchup.window = catchup.window.max(catchup.after);
    set(fields, join(at, "catchup_window"), &mut catchup.window, job.catchup_window.as_ref());
    if job.catchup_limit != 0 {
        catchup.limit = job.catchup_limit;
    }
    catchup
}

pub(super) fn read_retention(
    fields: &mut Fields,
    at: &str,
    retention: Option<&v1::Retention>,
) -> Option<Retention> {
    let (success, failure) = retention.map_or((0, 0), |given| (given.success, given.failure));
    let mut class = |field: &str, number: i32| {
        Some(match fields.choice(join(at, field), number)? {
            v1::RetentionClass::Unspecified => None,
            v1::RetentionClass::Short => Some(RetentionClass::Short),
            v1::RetentionClass::Default => Some(RetentionClass::Default),
            v1::RetentionClass::Long => Some(RetentionClass::Long),
        })
    };
    let (success, failure) = (class("success", success), class("failure", failure));
    Some(Retention { success: success?, failure: failure? })
}

pub(super) fn retention_to_proto(retention: Retention) -> Option<v1::Retention> {
    let class = |class: Option<RetentionClass>| match class {
        None => v1::RetentionClass::Unspecified,
        Some(RetentionClass::Short) => v1::RetentionClass::Short,
        Some(RetentionClass::Default) => v1::RetentionClass::Default,
        Some(RetentionClass::Long) => v1::RetentionClass::Long,
    };
    let (success, failure) = (class(retention.success).into(), class(retention.failure).into());
    (!retention.is_default()).then_some(v1::Retention { success, failure })
}

/// What is not set is as in the default policy.
pub(super) fn read_retry(fields: &mut Fields, at: &str, retry: Option<&v1::Retry>) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    let Some(retry) = retry else { return policy };
    if retry.max_tries != 0 {
        policy.max_tries = retry.max_tries;
    }
    if let Some(given) = &retry.backoff {
        policy.backoff = read_backoff(fields, at, given);
    }
    policy.jitter = retry.jitter.unwrap_or(policy.jitter);
    for (index, kind) in retry.non_retryable.iter().enumerate() {
        let kind = fields.text(join(at, &format!("non_retryable[{index}]")), kind.clone(), 100);
        policy.non_retryable.push(kind);
    }
    policy
}

/// What is not set of a kind of back-off is as in the default policy, or as near to it as the kind allows.
fn read_backoff(fields: &mut Fields, at: &str, given: &v1::retry::Backoff) -> Backoff {
    use v1::retry::Backoff as Given;
    let (mut first, mut most) = (Duration::from_secs(1), Duration::from_secs(300));
    match given {
        Given::Exponential(given) => {
            let at = join(at, "exponential");
            set(fields, join(&at, "initial"), &mut first, given.initial.as_ref());
            set(fields, join(&at, "cap"), &mut most, given.cap.as_ref());
            let factor = if given.factor == 0.0 { 2.0 } else { given.factor };
            Backoff::Exponential { initial: first, factor, cap: most }
        }
        Given::Fixed(given) => {
            set(fields, join(at, "fixed"), &mut first, Some(given));
            Backoff::Fixed(first)
        }
        Given::Linear(given) => {
            let at = join(at, "linear");
            set(fields, join(&at, "initial"), &mut first, given.initial.as_ref());
            let mut increment = first;
            set(fields, join(&at, "increment"), &mut increment, given.increment.as_ref());
            set(fields, join(&at, "cap"), &mut most, given.cap.as_ref());
            Backoff::Linear { initial: first, increment, cap: most }
        }
        Given::List(given) => {
            let delays = given.delays.iter().enumerate().filter_map(|(index, delay)| {
                fields.take(join(at, &format!("list.delays[{index}]")), duration(delay))
            });
            Backoff::List(delays.collect())
        }
    }
}

fn backoff_to_proto(backoff: &Backoff) -> v1::retry::Backoff {
    use v1::retry::Backoff as Given;
    let some = |delay: &Duration| Some(duration_to_proto(*delay));
    match backoff {
        Backoff::Exponential { initial, factor, cap } => Given::Exponential(v1::ExponentialBackoff {
            initial: some(initial),
            factor: *factor,
            cap: some(cap),
        }),
        Backoff::Fixed(delay) => Given::Fixed(duration_to_proto(*delay)),
        Backoff::Linear { initial, increment, cap } => Given::Linear(v1::LinearBackoff {
            initial: some(initial),
            increment: some(increment),
            cap: some(cap),
        }),
        Backoff::List(delays) => {
            Given::List(v1::ListBackoff { delays: delays.iter().copied().map(duration_to_proto).collect() })
        }
    }
}

pub(super) fn retry_to_proto(policy: &RetryPolicy) -> v1::Retry {
    v1::Retry {
        max_tries: policy.max_tries,
        backoff: Some(backoff_to_proto(&policy.backoff)),
        jitter: Some(policy.jitter),
        non_retryable: policy.non_retryable.clone(),
    }
}

/// What is not set is as in the default.
pub(super) fn read_timeouts(fields: &mut Fields, at: &str, given: Option<&v1::Timeouts>) -> Timeouts {
    let mut timeouts = Timeouts::default();
    let Some(given) = given else { return timeouts };
    let mut optional = |field: &str, value: Option<&prost_types::Duration>| {
        fields.take(join(at, field), value.map(duration).transpose()).flatten()
    };
    timeouts.schedule_to_start = optional("schedule_to_start", given.schedule_to_start.as_ref());
    timeouts.schedule_to_close = optional("schedule_to_close", given.schedule_to_close.as_ref());
    set(fields, join(at, "start_to_close"), &mut timeouts.start_to_close, given.start_to_close.as_ref());
    set(fields, join(at, "cancel_grace"), &mut timeouts.cancel_grace, given.cancel_grace.as_ref());
    timeouts
}

pub(super) fn timeouts_to_proto(timeouts: &Timeouts) -> v1::Timeouts {
    v1::Timeouts {
        schedule_to_start: timeouts.schedule_to_start.map(duration_to_proto),
        schedule_to_close: timeouts.schedule_to_close.map(duration_to_proto),
        start_to_close: Some(duration_to_proto(timeouts.start_to_close)),
        cancel_grace: Some(duration_to_proto(timeouts.cancel_grace)),
    }
}

/// Replaces `value` when one is given.
fn set(fields: &mut Fields, field: String, value: &mut Duration, given: Option<&prost_types::Duration>) {
    if let Some(given) = given.and_then(|given| fields.take(field, duration(given))) {
        *value = given;
    }
}
