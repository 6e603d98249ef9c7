//! Answers to calls that change many things at once, by request id.

use super::state::State;
use crate::store::{RequestId, StoreError};

/// What an earlier call with this request id was answered.
pub(super) fn earlier(
    state: &State,
    request: Option<&RequestId>,
    method: &str,
) -> Result<Option<String>, StoreError> {
    let Some(RequestId(request)) = request else { return Ok(None) };
    match state.call_requests.get(request) {
        Some((used_for, answer)) if *used_for == method => Ok(Some(answer.clone())),
        Some(_) => Err(StoreError::RequestReused(request.clone())),
        None => Ok(None),
    }
}

pub(super) fn remember(state: &mut State, request: Option<&RequestId>, method: &'static str, answer: String) {
    if let Some(RequestId(request)) = request {
        state.call_requests.insert(request.clone(), (method, answer));
    }
}
