use std::error::Error;
use std::fmt;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A server's no: why, and which fields it does not like.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: Code,
    message: String,
    /// Machine-readable: `STALE_ATTEMPT`, say.
    reason: Option<String>,
    fields: Vec<Field>,
}

/// One field of the request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// From the request: `job.schedule[0].cron`.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) problem: String,
}

impl Refusal {
    /// The gRPC code.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// What to say, a line each: every field that is wrong, or else the server's message.
    pub(crate) fn lines(&self) -> Vec<String> {
        if self.fields.is_empty() {
            return vec![self.message()];
        }
        self.fields.iter().map(|field| format!("{}: {}", field.path, field.problem)).collect()
    }

    fn message(&self) -> String {
        match (self.message.as_str(), &self.reason) {
            ("", Some(reason)) => format!("the server refused: {reason}"),
            ("", None) => format!("the server refused: {}", self.code.description()),
            (message, _) => message.to_owned(),
        }
    }

    fn advice(&self) -> Option<&'static str> {
        match self.code {
            Code::Unauthenticated => Some("Give a token with --token-file FILE, or in PUNCTUAL_TOKEN."),
            Code::Unimplemented => {
                Some("The server does not know this call: is it a Punctual scheduler of this release?")
            }
            _ => None,
        }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
        let field = |path: &str| path.strip_prefix("job.").unwrap_or(path).to_owned();
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason: details.error_info().map(|info| info.reason.clone()),
            fields: violations
                .iter()
                .map(|violation| Field {
                    path: field(&violation.field),
                    problem: violation.description.clone(),
                })
                .collect(),
        }
    }
}

impl Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n       "))?;
        self.advice().map_or(Ok(()), |advice| write!(f, "\n{advice}"))
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn every_field_violation_is_a_line() {
        let mut details =
            ErrorDetails::with_bad_request_violation("job.schedule[0].cron", "position 3: no such day");
        details.add_bad_request_violation("job.name", "is empty");
        let refusal =
            Refusal::from(Status::with_error_details(Code::InvalidArgument, "2 fields are wrong", details));
        assert_eq!(refusal.to_string(), "schedule[0].cron: position 3: no such day\n       name: is empty");
    }

    #[test]
    fn a_refusal_without_words_still_says_something() {
        let refusal = Refusal::from(Status::new(Code::Aborted, ""));
        assert_eq!(refusal.to_string(), "the server refused: The operation was aborted");
    }
}
