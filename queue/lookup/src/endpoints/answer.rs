//! An HTTP answer as data.

use punctual_queue_wire::http::{CONTENT_TYPE_HEADER, CONTENT_TYPE_VALUE, HttpError, JSON, TEXT};

/// What a successful answer holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Nothing,
    Text(&'static str),
    Json(Vec<u8>),
}

/// Status, headers and body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A success. `marked` adds the header without which go-nsq misreads the answer.
    pub(super) fn of(content: Content, marked: bool) -> Self {
        let (content_type, body) = match content {
            Content::Nothing => (None, Vec::new()),
            Content::Text(text) => (Some(TEXT), text.into()),
            Content::Json(json) => (Some(JSON), json),
        };
        let mark = marked.then(|| (CONTENT_TYPE_HEADER, CONTENT_TYPE_VALUE.to_owned()));
        let content_type = content_type.map(|content_type| ("content-type", content_type.to_owned()));
        Self { status: 200, headers: mark.into_iter().chain(content_type).collect(), body }
    }

    /// A failure, its code in a JSON object.
    pub(super) fn error(error: &HttpError) -> Self {
        let answer = Self::of(Content::Json(error.body().into_bytes()), true);
        Self { status: error.status, ..answer }
    }

    /// The answer to OPTIONS.
    pub(super) fn options(allow: &'static str) -> Self {
        Self::of(Content::Nothing, false).with_allow(allow)
    }

    /// Sends the client to the path without its trailing slash.
    pub(super) fn moved(path: &str, method: &str, query: &str) -> Self {
        let separator = if query.is_empty() { "" } else { "?" };
        Self {
            status: if method == "GET" { 301 } else { 307 },
            headers: vec![("location", format!("{path}{separator}{query}"))],
            body: Vec::new(),
        }
    }

    pub(super) fn with_allow(mut self, allow: &'static str) -> Self {
        self.headers.push(("allow", allow.to_owned()));
        self
    }
}
