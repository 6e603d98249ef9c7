//! The etag: a job's revision as people pass it around.

use std::fmt;
use std::str::FromStr;

use crate::store::Revision;

/// A revision as opaque short text, `r17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Etag(pub(super) Revision);

/// The text was not given out by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an etag: send back the one you read, or none")]
pub(super) struct NotAnEtag;

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl FromStr for Etag {
    type Err = NotAnEtag;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('r').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).map(Self).ok_or(NotAnEtag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_out_reads_back_and_nothing_else_does() {
        for revision in [1, 17, Revision::MAX] {
            assert_eq!(Etag(revision).to_string().parse(), Ok(Etag(revision)));
        }
        for text in ["", "r", "17", "r-1", "r+1", "R1", "r1 ", "r99999999999999999999"] {
            assert_eq!(text.parse::<Etag>(), Err(NotAnEtag), "{text:?}");
        }
    }
}
