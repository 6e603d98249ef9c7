use std::ffi::OsString;

use clap::{Args, Command};

use super::{Flag, FlagError, FlagSet, Kind, translate_log_level, usage};

/// What the command line of a tool asks for.
#[derive(Debug)]
pub enum Call<A> {
    /// To run.
    Run {
        /// With these flags.
        args: A,
        /// Words after the flags, of which NSQ's tools take no notice.
        rest: Vec<String>,
    },
    /// To print the version.
    Version,
    /// To print this text, which says what flags there are.
    Help(String),
}

/// Reads the command line of the tool `name`, without the program's name in front.
///
/// # Errors
/// It is wrong; the exit code that belongs to it is 2.
pub fn call<A: Args>(name: &str, words: impl IntoIterator<Item = OsString>) -> Result<Call<A>, FlagError> {
    let command = command::<A>();
    let version = Flag { kind: Kind::Bool, is_list: false };
    let flags = FlagSet::of(&command).with("version", version);
    let mut given = match flags.read(as_text(words)?) {
        Err(FlagError::Help) => return Ok(Call::Help(usage(name, &command))),
        given => given?,
    };
    if given.is_true("version") {
        return Ok(Call::Version);
    }
    translate_log_level(&mut given)?;
    let matches = command.clone().try_get_matches_from(given.words_for(&command))?;
    Ok(Call::Run { args: A::from_arg_matches(&matches)?, rest: given.rest })
}

/// A command with these flags and no others, that takes words without a program's name in front.
pub fn command<A: Args>() -> Command {
    let command = Command::new("flags").no_binary_name(true);
    A::augment_args(command.disable_help_flag(true).disable_version_flag(true))
}

/// The words as text.
///
/// # Errors
/// One is not UTF-8.
pub fn as_text(words: impl IntoIterator<Item = OsString>) -> Result<Vec<String>, FlagError> {
    words.into_iter().map(|word| word.into_string().map_err(FlagError::NotText)).collect()
}
