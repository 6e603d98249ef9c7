//! Names that people choose, valid by construction.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters.
    #[error("{what} is empty: expected 1 to {max} characters of {allowed}")]
    Empty {
        /// Which name it was to be.
        what: &'static str,
        /// The most characters it may have.
        max: usize,
        /// The characters it may have.
        allowed: &'static str,
    },
    /// It has too many.
    #[error("{what} has {length} characters, the most is {max}")]
    TooLong {
        /// Which name it was to be.
        what: &'static str,
        /// How many it has.
        length: usize,
        /// The most characters it may have.
        max: usize,
    },
    /// It has a character that such a name may not have.
    #[error("{what} `{text}` has {found:?} at character {position}: only {allowed} are allowed")]
    Character {
        /// Which name it was to be.
        what: &'static str,
        /// The whole text.
        text: String,
        /// The first wrong character.
        found: char,
        /// Where it stands, counted from 1.
        position: usize,
        /// The characters it may have.
        allowed: &'static str,
    },
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $allowed:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most characters it may have.
            pub const MAX_LENGTH: usize = $max;

            /// Checks `text` and keeps it.
            ///
            /// # Errors
            /// When it is empty, too long, or has a character that is not allowed.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                let text = text.as_ref();
                check($what, text, $max, $allowed, $accepts)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name!(
    /// Keeps tenants apart: 1 to 24 characters of `a-z 0-9 -`. `default` always exists.
    Namespace, "namespace", 24, "a-z 0-9 -",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
);
name!(
    /// Names a job within its namespace: 1 to 200 characters of `a-z A-Z 0-9 . _ -`.
    JobName, "job name", 200, "a-z A-Z 0-9 . _ -", is_word
);
name!(
    /// Where runs wait for a worker: 1 to 34 characters of `a-z 0-9 _ -`. No dots, so that no two share a topic.
    TaskQueue, "task queue", 34, "a-z 0-9 _ -",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
);
name!(
    /// What a worker has a handler for: 1 to 100 characters of `a-z A-Z 0-9 . _ -`.
    Kind, "kind", 100, "a-z A-Z 0-9 . _ -", is_word
);
name!(
    /// Names a calendar within its namespace: 1 to 100 characters of `a-z A-Z 0-9 . _ -`.
    CalendarName, "calendar name", 100, "a-z A-Z 0-9 . _ -", is_word
);

impl Default for Namespace {
    fn default() -> Self {
        Self("default".into())
    }
}

impl Default for TaskQueue {
    fn default() -> Self {
        Self("default".into())
    }
}

impl Kind {
    /// The kind of the runner's own handler, which runs programs. A job cannot name it; it has `exec` instead.
    pub fn exec() -> Self {
        Self("exec".into())
    }

    /// Whether it belongs to the runner, so that a job may not name it.
    pub fn is_reserved(&self) -> bool {
        self.as_str() == "exec"
    }
}

/// A task queue together with its namespace: what a worker serves and a topic carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TaskQueuePath {
    /// Whose it is.
    pub namespace: Namespace,
    /// Its name there.
    pub task_queue: TaskQueue,
}

impl TaskQueuePath {
    /// The topic its messages go through.
    pub fn topic(&self) -> String {
        topic(&self.namespace, &self.task_queue)
    }
}

/// The topic of a task queue: `task.{namespace}.{task queue}`, at most 64 bytes.
pub fn topic(namespace: &Namespace, task_queue: &TaskQueue) -> String {
    format!("task.{namespace}.{task_queue}")
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn check(
    what: &'static str,
    text: &str,
    max: usize,
    allowed: &'static str,
    accepts: impl Fn(char) -> bool,
) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what, max, allowed });
    }
    let length = text.chars().count();
    if length > max {
        return Err(NameError::TooLong { what, length, max });
    }
    match text.chars().enumerate().find(|(_, c)| !accepts(*c)) {
        Some((index, found)) => {
            Err(NameError::Character { what, text: text.to_owned(), found, position: index + 1, allowed })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_1_to_max_characters_of_its_alphabet() {
        for good in ["a", "default", "0-9", &"x".repeat(24)] {
            assert_eq!(Namespace::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "a.b", "a_b", "a b", "ä", &"x".repeat(25)] {
            assert!(Namespace::new(bad).is_err(), "{bad:?}");
        }
        for good in ["tick", "A.b_c-9", &"x".repeat(200)] {
            assert!(JobName::new(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a/b", "a\n", &"x".repeat(201)] {
            assert!(JobName::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a.b", "Q", &"x".repeat(35)] {
            assert!(TaskQueue::new(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "a b", &"x".repeat(101)] {
            assert!(Kind::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_says_where_and_what_is_allowed() {
        assert_eq!(
            JobName::new("daily/report").unwrap_err().to_string(),
            "job name `daily/report` has '/' at character 6: only a-z A-Z 0-9 . _ - are allowed"
        );
        assert_eq!(
            TaskQueue::new("").unwrap_err().to_string(),
            "task queue is empty: expected 1 to 34 characters of a-z 0-9 _ -"
        );
    }

    #[test]
    fn json_is_the_bare_text_and_is_checked_when_read() {
        let kind: Kind = serde_json::from_str(r#""mail.send""#).unwrap();
        assert_eq!(serde_json::to_string(&kind).unwrap(), r#""mail.send""#);
        assert!(serde_json::from_str::<Kind>(r#""mail send""#).is_err());
    }

    #[test]
    fn the_longest_topic_fits_64_bytes() {
        let topic = topic(
            &Namespace::new("n".repeat(Namespace::MAX_LENGTH)).unwrap(),
            &TaskQueue::new("q".repeat(TaskQueue::MAX_LENGTH)).unwrap(),
        );
        assert_eq!(topic.len(), 64);
        assert_eq!(TaskQueuePath::default().topic(), "task.default.default");
    }
}
