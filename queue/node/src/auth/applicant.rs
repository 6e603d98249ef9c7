//! Who asks to be let in.

use std::fmt;

use serde_json::{Value, json};

/// A client as an authentication server is told of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Applicant {
    /// What the client sent with AUTH.
    pub(crate) secret: String,
    /// Empty for one on this machine's own socket file.
    pub(crate) remote_ip: String,
    pub(crate) tls: bool,
    /// Of its certificate; empty without one.
    pub(crate) common_name: String,
}

impl Applicant {
    /// The parameters of a GET, in the order of their names.
    pub(super) fn query(&self) -> [(&'static str, &str); 4] {
        [
            ("common_name", &self.common_name),
            ("remote_ip", &self.remote_ip),
            ("secret", &self.secret),
            ("tls", if self.tls { "true" } else { "false" }),
        ]
    }

    /// The body of a POST: the same, each as a list.
    pub(super) fn json(&self) -> Value {
        self.query().into_iter().map(|(name, value)| (name.to_owned(), json!([value]))).collect()
    }
}

impl fmt::Debug for Applicant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applicant").field("remote_ip", &self.remote_ip).finish_non_exhaustive()
    }
}
