//! Handlers: what executes the attempts of a kind, and what they give back.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::context::Context;

/// What a handler returns, with its type forgotten.
pub(crate) type Returned = Result<Output, HandlerError>;

type Handler = Box<dyn Fn(Context) -> BoxFuture<'static, Returned> + Send + Sync>;

/// What a successful attempt leaves behind: its result, and the last of what it printed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    pub(crate) result: serde_json::Value,
    pub(crate) tail: String,
}

impl Output {
    /// Adds the last of what was printed; the newest 4 KiB are kept.
    #[must_use]
    pub fn tail(mut self, tail: impl Into<String>) -> Self {
        self.tail = tail.into();
        self
    }
}

impl From<serde_json::Value> for Output {
    fn from(result: serde_json::Value) -> Self {
        Self { result, tail: String::new() }
    }
}

impl From<String> for Output {
    /// The text as a JSON string.
    fn from(text: String) -> Self {
        serde_json::Value::from(text).into()
    }
}

impl From<()> for Output {
    /// No result: JSON `null`.
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// Why an attempt failed.
///
/// Any error becomes one with `?`: its text, with the texts of its causes. Such an error is retryable and of the
/// empty kind.
#[derive(Debug, Clone, PartialEq)]
pub struct HandlerError {
    pub(crate) text: String,
    pub(crate) kind: String,
    pub(crate) retryable: bool,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) tail: String,
}

impl HandlerError {
    /// A retryable error of the empty kind.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind: String::new(),
            retryable: true,
            retry_after: None,
            tail: String::new(),
        }
    }

    /// Names the kind, which a job's `retry.non_retryable` is matched against.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Ends the run, whatever tries are left.
    #[must_use]
    pub fn not_retryable(mut self) -> Self {
        self.retryable = false;
        self
    }

    /// Asks for the next try after `delay`, in place of the job's back-off.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Adds the last of what was printed; the newest 4 KiB are kept.
    #[must_use]
    pub fn tail(mut self, tail: impl Into<String>) -> Self {
        self.tail = tail.into();
        self
    }

    /// Whether another try may help.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// As with `anyhow`, this conversion is why `HandlerError` is not itself an `Error`.
impl<E: Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(text)
    }
}

/// The handlers of a worker, by kind.
#[derive(Default)]
pub(crate) struct Handlers(BTreeMap<String, Handler>);

impl Handlers {
    /// Registers a handler; `false` when the kind has one already.
    pub(crate) fn add<F, Fut, O>(&mut self, kind: String, handler: F) -> bool
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O, HandlerError>> + Send + 'static,
        O: Into<Output>,
    {
        let handler: Handler =
            Box::new(move |context| handler(context).map(|out| out.map(Into::into)).boxed());
        self.0.insert(kind, handler).is_none()
    }

    pub(crate) fn get(&self, kind: &str) -> Option<&Handler> {
        self.0.get(kind)
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_brings_the_texts_of_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not read the report")]
        struct Outer(#[source] std::num::ParseIntError);

        let error = HandlerError::from(Outer("x".parse::<u8>().unwrap_err()));
        assert_eq!(error.to_string(), "could not read the report: invalid digit found in string");
        assert!(error.is_retryable());
    }
}
