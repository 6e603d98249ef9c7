use std::fmt;

/// A JSON value that is not the message it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct JsonError {
    /// Where, from the outermost value: `schedule[1].every`. Empty for the outermost value itself.
    pub path: String,
    /// What is wrong there.
    pub kind: JsonErrorKind,
}

/// What can be wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// No such field. The last part of the path is its name.
    #[error("unknown field{}", did_you_mean(suggestion.as_deref()))]
    UnknownField {
        /// The known field that is spelt most alike, if any is near.
        suggestion: Option<String>,
    },
    /// A field given twice, once in each spelling.
    #[error("given twice, as `{0}` and as `{1}`")]
    Twice(String, String),
    /// Two fields of which a message holds only one.
    #[error("`{0}` and `{1}` exclude each other")]
    Exclusive(String, String),
    /// A value of another type.
    #[error("expected {expected}, found {found}{}", if *.quote { "; write it in quotes" } else { "" })]
    WrongType {
        /// What belongs here, with its article.
        expected: &'static str,
        /// What is here.
        found: String,
        /// Whether quotes would make it fit.
        quote: bool,
    },
    /// Not one of an enum's values.
    #[error("`{value}` is none of {}{}", known.join(", "), did_you_mean(suggestion.as_deref()))]
    UnknownValue {
        /// What is here.
        value: String,
        /// What could be here.
        known: Vec<String>,
        /// The known value that is spelt most alike, if any is near.
        suggestion: Option<String>,
    },
    /// Not a length of time.
    #[error("`{0}` is not a duration; write one with its unit, such as 90s, 5m or 1h 30m")]
    Duration(String),
    /// Not an instant.
    #[error("`{0}` is not an instant; write one as 2026-12-01T09:00:00Z, or with an offset instead of Z")]
    Instant(String),
    /// A number beyond what the field can hold.
    #[error("{0} is out of range")]
    OutOfRange(String),
}

impl JsonError {
    /// The same error, seen from further out: `name` at `jobs[2]` becomes `jobs[2].name`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        let joint =
            if self.path.is_empty() || self.path.starts_with('[') || outer.is_empty() { "" } else { "." };
        self.path = format!("{outer}{joint}{}", self.path);
        self
    }
}

impl From<JsonErrorKind> for JsonError {
    /// The error at the value being looked at.
    fn from(kind: JsonErrorKind) -> Self {
        Self { path: String::new(), kind }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        self.kind.fmt(f)
    }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// The one of `known` that is spelt most like `name`, when it is near enough to be what was meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&name, known), known))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.to_owned())
}
