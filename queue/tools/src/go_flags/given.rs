use std::collections::BTreeMap;

use clap::{ArgAction, Command};

use super::{Flag, FlagError, Kind, integer};
use crate::go_duration;

/// What a command line gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    values: BTreeMap<String, Vec<String>>,
    /// The words after the flags.
    pub rest: Vec<String>,
}

impl Given {
    /// Gives a flag a value: one more if it is a list, otherwise the one.
    ///
    /// # Errors
    /// A boolean or a number is given something else.
    pub fn set(&mut self, name: &str, flag: Flag, value: &str) -> Result<(), FlagError> {
        let value = canonical(flag.kind, value).ok_or_else(|| {
            let (name, value) = (name.to_owned(), value.to_owned());
            match flag.kind {
                Kind::Number => FlagError::BadValue { name, value, reason: "parse error".to_owned() },
                _ => FlagError::BadBoolean { name, value },
            }
        })?;
        let values = self.values.entry(name.to_owned()).or_default();
        if !flag.is_list {
            values.clear();
        }
        values.push(value);
        Ok(())
    }

    /// Whether the flag was given.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The values of a flag; none when it was not given.
    pub fn values(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// The last value of a flag.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last().map(String::as_str)
    }

    /// Whether the flag was given as `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    /// The names of the flags that were given, by name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Takes a flag out.
    pub fn take(&mut self, name: &str) -> Vec<String> {
        self.values.remove(name).unwrap_or_default()
    }

    /// Changes every value of a flag that was given.
    pub fn change(&mut self, name: &str, change: impl Fn(&str) -> String) {
        for value in self.values.get_mut(name).into_iter().flatten() {
            *value = change(value);
        }
    }

    /// The flags that `command` has, in the one form that `clap` takes for each.
    pub fn words_for(&self, command: &Command) -> Vec<String> {
        let mut words = Vec::new();
        for arg in command.get_arguments() {
            let Some(name) = arg.get_long() else { continue };
            for value in self.values(name) {
                match arg.get_action() {
                    // A flag that can only be switched on is off when it is left out.
                    ArgAction::SetTrue if value == "true" => words.push(format!("--{name}")),
                    ArgAction::SetTrue => {}
                    _ => words.push(format!("--{name}={value}")),
                }
            }
        }
        words
    }
}

/// The one form of a value that both Go and `clap` take; a duration that Go would not take is left for `clap` to judge.
fn canonical(kind: Kind, value: &str) -> Option<String> {
    match kind {
        Kind::Bool => boolean(value).map(|yes| yes.to_string()),
        Kind::OptionalText => Some(boolean(value).map_or_else(|| value.to_owned(), |yes| yes.to_string())),
        Kind::Duration => Some(match go_duration::parse(value) {
            Ok(duration) => format!("{}ns", duration.as_nanos()),
            Err(_) => value.to_owned(),
        }),
        Kind::Number => integer::decimal(value),
        Kind::Text => Some(value.to_owned()),
    }
}

/// What Go takes for a boolean.
pub fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
