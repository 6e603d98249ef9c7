//! Command lines in the form of Go's package `flag`, for structs of `clap` flags.
//!
//! `-x v`, `--x v`, `-x=v` and `--x=v` are the same. A boolean takes a value only behind `=`. The first word that is
//! no flag, or `--`, ends the flags. Of a flag that is given twice the last counts, unless it is a list.

mod call;
mod error;
mod given;
mod integer;
mod log_level;
mod usage;

use std::any::TypeId;
use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};

pub use self::call::{Call, as_text, call, command};
pub use self::error::FlagError;
pub use self::given::{Given, boolean};
pub use self::log_level::translate_log_level;
pub use self::usage::usage;

/// How a flag takes its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` when it stands alone; a boolean behind `=`.
    Bool,
    /// `true` when it stands alone; any text behind `=`.
    OptionalText,
    /// A duration as Go writes it.
    Duration,
    /// A whole number as Go writes it, other than in base 10 too.
    Number,
    /// Any text.
    Text,
}

/// One flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// How it takes its value.
    pub kind: Kind,
    /// Whether every value counts, rather than the last.
    pub is_list: bool,
}

/// The flags a command line may have.
#[derive(Debug, Clone, Default)]
pub struct FlagSet(BTreeMap<String, Flag>);

impl FlagSet {
    /// The long flags of a command.
    pub fn of(command: &Command) -> Self {
        let flags =
            command.get_arguments().filter_map(|arg| Some((arg.get_long()?.to_owned(), flag_of(arg))));
        Self(flags.collect())
    }

    /// Adds a flag, in the place of one with its name.
    #[must_use]
    pub fn with(mut self, name: &str, flag: Flag) -> Self {
        self.0.insert(name.to_owned(), flag);
        self
    }

    /// The flag with this name.
    pub fn get(&self, name: &str) -> Option<Flag> {
        self.0.get(name).copied()
    }

    /// Reads a command line, without the program's name in front.
    ///
    /// # Errors
    /// A flag that is not defined, lacks its value, or has one of another kind; `-h`.
    pub fn read(&self, words: impl IntoIterator<Item = String>) -> Result<Given, FlagError> {
        let mut given = Given::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(stripped) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                given.rest.push(word);
                break;
            };
            if word == "--" {
                break;
            }
            let text = stripped.strip_prefix('-').unwrap_or(stripped);
            if text.starts_with(['-', '=']) {
                return Err(FlagError::BadSyntax(word));
            }
            let (name, value) =
                text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
            let Some(flag) = self.get(name) else {
                return Err(match name {
                    "h" | "help" => FlagError::Help,
                    _ => FlagError::NotDefined(name.to_owned()),
                });
            };
            let value = match (value, flag.kind) {
                (Some(value), _) => value.to_owned(),
                (None, Kind::Bool | Kind::OptionalText) => "true".to_owned(),
                (None, Kind::Duration | Kind::Number | Kind::Text) => {
                    words.next().ok_or_else(|| FlagError::NeedsArgument(name.to_owned()))?
                }
            };
            given.set(name, flag, &value)?;
        }
        given.rest.extend(words);
        Ok(given)
    }
}

fn flag_of(arg: &Arg) -> Flag {
    let holds = |id: TypeId| arg.get_value_parser().type_id() == id;
    let may_stand_alone = arg.get_num_args().is_some_and(|count| count.min_values() == 0);
    let kind = if !arg.get_action().takes_values() || holds(TypeId::of::<bool>()) {
        Kind::Bool
    } else if may_stand_alone {
        Kind::OptionalText
    } else if holds(TypeId::of::<Duration>()) {
        Kind::Duration
    } else if integers().into_iter().any(holds) {
        Kind::Number
    } else {
        Kind::Text
    };
    Flag { kind, is_list: matches!(arg.get_action(), ArgAction::Append) }
}

/// What flags that take whole numbers hold.
fn integers() -> [TypeId; 7] {
    [
        TypeId::of::<u8>(),
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<i32>(),
        TypeId::of::<i64>(),
    ]
}

#[cfg(test)]
mod tests;
