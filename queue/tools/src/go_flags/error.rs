use std::error::Error as _;

use clap::error::{ContextKind, ContextValue};

/// What is wrong with a command line, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// `-h` or `-help`: not wrong, but a wish.
    #[error("flag: help requested")]
    Help,
    /// There is no such flag.
    #[error("flag provided but not defined: -{0}")]
    NotDefined(String),
    /// The command line ends where a value should be.
    #[error("flag needs an argument: -{0}")]
    NeedsArgument(String),
    /// Such as `---x` or `-=x`.
    #[error("bad flag syntax: {0}")]
    BadSyntax(String),
    /// A boolean that is neither true nor false.
    #[error("invalid boolean value {value:?} for -{name}: parse error")]
    BadBoolean {
        /// Which flag.
        name: String,
        /// What it was given.
        value: String,
    },
    /// A value that the flag does not take.
    #[error("invalid value {value:?} for flag -{name}: {reason}")]
    BadValue {
        /// Which flag.
        name: String,
        /// What it was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A word that is not UTF-8.
    #[error("{0:?} is not UTF-8")]
    NotText(std::ffi::OsString),
    /// Flags that do not go together, or anything else that `clap` finds.
    #[error("{0}")]
    Other(String),
}

impl From<clap::Error> for FlagError {
    fn from(error: clap::Error) -> Self {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            _ => None,
        };
        let rendered = error.render().to_string();
        let first_line = rendered.lines().next().unwrap_or_default();
        let first_line = first_line.strip_prefix("error: ").unwrap_or(first_line);
        match (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue)) {
            (Some(arg), Some(value)) => Self::BadValue {
                // `--name <NAME>`
                name: arg.split(' ').next().unwrap_or_default().trim_start_matches('-').to_owned(),
                reason: error.source().map_or_else(|| allowed(&error), ToString::to_string),
                value,
            },
            _ => Self::Other(first_line.to_owned()),
        }
    }
}

fn allowed(error: &clap::Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => format!("must be one of {}", values.join(", ")),
        _ => "parse error".to_owned(),
    }
}
