use std::fmt::Write as _;

use clap::{Arg, Command};

use super::{FlagSet, Kind};

/// What Go prints for `-h`: every flag with its help and default, by name.
pub fn usage(name: &str, command: &Command) -> String {
    let set = FlagSet::of(command);
    let mut args: Vec<_> = command.get_arguments().filter_map(|arg| Some((arg.get_long()?, arg))).collect();
    args.sort_by_key(|(long, _)| *long);
    let mut text = format!("Usage of {name}:\n");
    for (long, arg) in args {
        let kind = match set.get(long).map(|flag| flag.kind) {
            None | Some(Kind::Bool | Kind::OptionalText) => "",
            Some(Kind::Duration) => " duration",
            Some(Kind::Number) => " int",
            Some(Kind::Text) => " value",
        };
        // Writing to a `String` does not fail.
        let _infallible = writeln!(text, "  -{long}{kind}\n    \t{}{}", help(arg), default(arg));
    }
    text
}

fn help(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

fn default(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    match values.join(",").as_str() {
        "" | "false" => String::new(),
        values => format!(" (default {values})"),
    }
}
