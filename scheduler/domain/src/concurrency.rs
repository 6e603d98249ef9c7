//! Concurrency keys: how many runs of one customer, team or machine go on at a time, whatever jobs they are of.

mod template;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::template::{KeyTemplate, TemplateError};

use crate::field::FieldError;
use crate::name::Namespace;

/// How many runs with one key go on at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// What makes a run's key.
    pub key: KeyTemplate,
    /// So many runs with one key, at least 1.
    pub limit: u32,
}

impl Concurrency {
    /// No key has more places.
    pub const MOST: u32 = 1_000;

    /// Checks the limit; the template was checked when it was made.
    ///
    /// # Errors
    /// When it is out of bounds.
    pub fn validate(&self) -> Result<(), FieldError> {
        if (1..=Self::MOST).contains(&self.limit) {
            return Ok(());
        }
        Err(FieldError::new("limit", format!("is {}, expected 1 to {}", self.limit, Self::MOST)))
    }

    /// What a run with this payload and these labels asks for.
    pub fn claim(&self, payload: &str, labels: &BTreeMap<String, String>) -> KeyClaim {
        KeyClaim { key: self.key.render(payload, labels), limit: self.limit }
    }
}

/// One of the places that a run needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyClaim {
    /// The key. It is one within its namespace.
    pub key: String,
    /// How many places it has, by the word of the run that asks.
    pub limit: u32,
}

/// A key and the namespace in which it is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPath {
    /// Where.
    pub namespace: Namespace,
    /// The key.
    pub key: String,
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No namespace has a slash.
        write!(f, "{}/{}", self.namespace, self.key)
    }
}
