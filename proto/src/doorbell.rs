//! The body of a task queue's messages: [`v1::Doorbell`] as canonical proto3 JSON.
//!
//! Written and read for every run, so by a plain struct rather than through descriptors.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::v1;

/// A message body that is no doorbell.
#[derive(Debug, thiserror::Error)]
#[error("not a doorbell")]
pub struct DoorbellError(#[source] serde_json::Error);

impl v1::Doorbell {
    /// The message body: proto3 JSON, empty fields left out. Below 300 bytes unless job and kind have very
    /// long names.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let body = Body {
            run_id: Cow::Borrowed(&self.run_id),
            dispatch: Number::Plain(self.dispatch),
            job: Cow::Borrowed(&self.job),
            kind: Cow::Borrowed(&self.kind),
            traceparent: Cow::Borrowed(&self.traceparent),
        };
        serde_json::to_vec(&body).expect("strings and a number always have a JSON form")
    }

    /// Reads a message body. Fields it does not know are ignored, so that a newer scheduler can ring.
    ///
    /// # Errors
    /// When the body is not such an object or names no run.
    pub fn from_json(body: &[u8]) -> Result<Self, DoorbellError> {
        let body: Body<'_> = serde_json::from_slice(body).map_err(DoorbellError)?;
        if body.run_id.is_empty() {
            return Err(DoorbellError(serde::de::Error::missing_field("runId")));
        }
        Ok(Self {
            run_id: body.run_id.into_owned(),
            dispatch: body.dispatch.value().map_err(DoorbellError)?,
            job: body.job.into_owned(),
            kind: body.kind.into_owned(),
            traceparent: body.traceparent.into_owned(),
        })
    }
}

/// The JSON object. proto3 JSON is read by both spellings of a name and written in the camelCase one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(alias = "run_id", default, skip_serializing_if = "str::is_empty")]
    run_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Number::is_zero")]
    dispatch: Number<'a>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    job: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    traceparent: Cow<'a, str>,
}

/// proto3 JSON allows a number in quotes.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number<'a> {
    Plain(u32),
    Quoted(Cow<'a, str>),
}

impl Number<'_> {
    fn value(&self) -> Result<u32, serde_json::Error> {
        match self {
            Number::Plain(number) => Ok(*number),
            Number::Quoted(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }

    fn is_zero(&self) -> bool {
        matches!(self, Number::Plain(0))
    }
}

impl Default for Number<'_> {
    fn default() -> Self {
        Number::Plain(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::v1::Doorbell;

    fn a_doorbell() -> Doorbell {
        Doorbell {
            run_id: "0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a".into(),
            dispatch: 3,
            job: "nightly-report".into(),
            kind: "exec".into(),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        }
    }

    #[test]
    fn it_is_canonical_json_of_under_300_bytes() {
        let json = a_doorbell().to_json();
        assert_eq!(
            String::from_utf8(json.clone()).unwrap(),
            r#"{"runId":"0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a","dispatch":3,"job":"nightly-report","kind":"exec","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#
        );
        assert!(json.len() < 300);
    }

    #[test]
    fn any_spelling_of_proto3_json_reads_the_same() {
        let expect = Doorbell { run_id: "r".into(), dispatch: 2, job: "j".into(), ..Doorbell::default() };
        for body in [
            r#"{"runId":"r","dispatch":2,"job":"j"}"#,
            r#"{"run_id":"r","dispatch":"2","job":"j"}"#,
            r#"{ "job": "\u006a", "unheard_of": [1, {}], "dispatch": 2, "runId": "r" }"#,
        ] {
            assert_eq!(Doorbell::from_json(body.as_bytes()).unwrap(), expect, "{body}");
        }
    }

    #[test]
    fn what_names_no_run_is_refused() {
        for body in ["", "{}", "[]", "null", r#"{"runId":7}"#, r#"{"runId":"r","dispatch":-1}"#, "\u{0}"] {
            assert!(Doorbell::from_json(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn every_doorbell_survives(run_id in ".{1,40}", dispatch: u32, job in ".*", kind in ".*", traceparent in ".*") {
            let doorbell = Doorbell { run_id, dispatch, job, kind, traceparent };
            prop_assert_eq!(Doorbell::from_json(&doorbell.to_json()).unwrap(), doorbell);
        }
    }
}
