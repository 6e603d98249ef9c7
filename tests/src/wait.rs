//! Waiting for the thing itself.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::bail;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Calls `look` until it gives a value, for at most `within`.
///
/// # Errors
/// When time is up: what was waited for, and what `look` saw last.
pub async fn until<T, S: Debug>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<T, S>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(value) => return Ok(value),
            Err(seen) if started.elapsed() > within => {
                bail!("waited {within:?} for {what}; last seen: {seen:?}")
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// [`until`] a number has been reached.
///
/// # Errors
/// When time is up.
pub async fn until_at_least(
    what: &str,
    least: i64,
    within: Duration,
    mut count: impl AsyncFnMut() -> anyhow::Result<i64>,
) -> anyhow::Result<i64> {
    until(what, within, async || match count().await {
        Ok(seen) if seen >= least => Ok(seen),
        Ok(seen) => Err(format!("{seen} of {least}")),
        Err(error) => Err(format!("{error:#}")),
    })
    .await
}
