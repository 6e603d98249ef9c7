//! What the HTTP answers of node and lookup have in common.

use std::{borrow::Cow, fmt};

mod parameters;

pub use parameters::MpubForm;

/// Marks an answer as the bare object. Without it go-nsq expects an older wrapper and sees no producers.
pub const CONTENT_TYPE_HEADER: &str = "x-nsq-content-type";

/// The value of [`CONTENT_TYPE_HEADER`].
pub const CONTENT_TYPE_VALUE: &str = "nsq; version=1.0";

/// What clients send as `Accept`.
pub const ACCEPT_VALUE: &str = "application/vnd.nsq; version=1.0";

/// `Content-Type` of objects and errors.
pub const JSON: &str = "application/json; charset=utf-8";

/// `Content-Type` of texts.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// An error answer: its status and its code, such as `TOPIC_NOT_FOUND`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpError {
    /// The HTTP status.
    pub status: u16,
    /// What stands in the body.
    pub code: Cow<'static, str>,
}

impl HttpError {
    /// No such path.
    pub const NOT_FOUND: Self = Self::new(404, "NOT_FOUND");
    /// The path exists, for another method.
    pub const METHOD_NOT_ALLOWED: Self = Self::new(405, "METHOD_NOT_ALLOWED");
    /// The query string is malformed.
    pub const INVALID_REQUEST: Self = Self::new(400, "INVALID_REQUEST");
    /// Something failed that should not have.
    pub const INTERNAL_ERROR: Self = Self::new(500, "INTERNAL_ERROR");

    /// An error with a fixed code.
    pub const fn new(status: u16, code: &'static str) -> Self {
        Self { status, code: Cow::Borrowed(code) }
    }

    /// The JSON body.
    pub fn body(&self) -> String {
        format!(r#"{{"message":{}}}"#, serde_json::Value::from(&*self.code))
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.code)
    }
}

impl std::error::Error for HttpError {}

/// The parameters of a request: NSQ's endpoints read them from the query string only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string, without its `?`.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for a `%` without two hex digits after it, or a `;`.
    pub fn parse(query: &str) -> Result<Self, HttpError> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let parsed: Option<_> = pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((unescape(name)?, unescape(value)?))
            })
            .collect();
        parsed.map(Self).ok_or(HttpError::INVALID_REQUEST)
    }

    /// The first value with this name; an empty one counts.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that must be there; an empty one counts, and is then no valid name.
    ///
    /// # Errors
    /// `missing`, a code such as `MISSING_ARG_TOPIC`, with status 400.
    pub fn require(&self, name: &str, missing: &'static str) -> Result<&str, HttpError> {
        self.get(name).ok_or(HttpError::new(400, missing))
    }
}

fn unescape(text: &str) -> Option<String> {
    if text.contains(';') {
        return None;
    }
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    // Go's strings hold any bytes. Whatever these were, they are no valid name with or without the replacement.
    Some(String::from_utf8_lossy(&plain).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, topic: Result<Option<&str>, HttpError>) {
        assert_eq!(Query::parse(query).as_ref().map(|query| query.get("topic")), topic.as_ref().map(|t| *t));
    }

    #[test]
    fn parameters_come_from_the_query_string() {
        check("", Ok(None));
        check("topic=a", Ok(Some("a")));
        check("channel=x&topic=a%23ephemeral", Ok(Some("a#ephemeral")));
        check("topic=first&topic=second", Ok(Some("first")));
        check("topic=a+b%2Bc", Ok(Some("a b+c")));
        check("topic", Ok(Some("")));
        check("topic=%zz", Err(HttpError::INVALID_REQUEST));
        check("topic=%4", Err(HttpError::INVALID_REQUEST));
        check("topic=a;channel=b", Err(HttpError::INVALID_REQUEST));
        check("topic=%ff", Ok(Some("\u{fffd}")));
    }

    #[test]
    fn a_required_parameter_may_be_empty_but_not_absent() {
        let query = Query::parse("topic=&channel=c").unwrap();
        assert_eq!(query.require("node", "MISSING_ARG_NODE"), Err(HttpError::new(400, "MISSING_ARG_NODE")));
        assert_eq!(query.require("topic", "MISSING_ARG_TOPIC"), Ok(""));
        assert_eq!(query.require("channel", "MISSING_ARG_CHANNEL"), Ok("c"));
    }

    #[test]
    fn an_error_body_is_its_code_as_message() {
        assert_eq!(HttpError::NOT_FOUND.body(), r#"{"message":"NOT_FOUND"}"#);
    }
}
