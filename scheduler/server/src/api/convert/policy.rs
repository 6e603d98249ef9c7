//! Policies: overlap, concurrency, priority, misfire, retry and time-outs, with their defaults.

use std::time::Duration;

use punctual_proto::v1;
use punctual_scheduler_domain::concurrency::{Concurrency, KeyTemplate};
use punctual_scheduler_domain::job::{Misfire, Overlap};
use punctual_scheduler_domain::priority::Priority;
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
        v1::Misfire::Latest => Misfire::Latest,
    })
}

pub(super) fn misfire_to_proto(misfire: Misfire) -> v1::Misfire {
    match misfire {
        Misfire::Latest => v1::Misfire::Latest,
    }
}

/// What is not set is as in the default policy.
pub(super) fn read_retry(fields: &mut Fields, at: &str, retry: Option<&v1::Retry>) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    let Some(retry) = retry else { return policy };
    if retry.max_tries != 0 {
        policy.max_tries = retry.max_tries;
    }
    if let Some(v1::retry::Backoff::Exponential(given)) = &retry.backoff {
        let at = join(at, "exponential");
        let Backoff::Exponential { initial, factor, cap } = &mut policy.backoff;
        set(fields, join(&at, "initial"), initial, given.initial.as_ref());
        set(fields, join(&at, "cap"), cap, given.cap.as_ref());
        if given.factor != 0.0 {
            *factor = given.factor;
        }
    }
    policy.jitter = retry.jitter.unwrap_or(policy.jitter);
    for (index, kind) in retry.non_retryable.iter().enumerate() {
        let kind = fields.text(join(at, &format!("non_retryable[{index}]")), kind.clone(), 100);
        policy.non_retryable.push(kind);
    }
    policy
}

pub(super) fn retry_to_proto(policy: &RetryPolicy) -> v1::Retry {
    let Backoff::Exponential { initial, factor, cap } = &policy.backoff;
    v1::Retry {
        max_tries: policy.max_tries,
        backoff: Some(v1::retry::Backoff::Exponential(v1::ExponentialBackoff {
            initial: Some(duration_to_proto(*initial)),
            factor: *factor,
            cap: Some(duration_to_proto(*cap)),
        })),
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
