//! `/debug`: what nsqd has from Go's runtime. There is none here, which each path says in its way.

use punctual_queue_wire::http::{HttpError, Query};

use super::answer::Answer;

/// Profiles are made from outside, with `perf`.
const NOT_IMPLEMENTED: HttpError = HttpError::new(501, "NOT_IMPLEMENTED");

/// Whether the path is one of Go's profiles.
pub(super) fn is_profile(path: &str) -> bool {
    let profile =
        path.strip_prefix("/debug/pprof").map(|profile| profile.strip_prefix('/').unwrap_or(profile));
    matches!(profile, Some("" | "cmdline" | "profile" | "heap" | "goroutine" | "block" | "threadcreate"))
}

pub(super) fn profile() -> Result<Answer, HttpError> {
    Err(NOT_IMPLEMENTED)
}

/// Nothing is profiled at any rate, so a rate only has to be one.
pub(super) fn set_block_rate(query: &Query) -> Answer {
    let rate = query.get("rate").unwrap_or_default();
    match rate.parse::<i64>() {
        Ok(_) => Answer::Empty,
        Err(_) => Answer::Refusal(format!("invalid block rate : {rate:?} is not a number")),
    }
}
