//! Runs cargo, saying so.

use std::ffi::OsStr;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, ensure};

use crate::workspace;

/// A cargo command to be run at the root of the repository.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace::root());
    command
}

/// Shows a command, runs it, and returns how it ended.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<ExitStatus> {
    eprintln!("$ {}", shown(command));
    command.status().with_context(|| format!("could not run {}", shown(command)))
}

/// As [`run`], for a command that must succeed for the chore to go on.
pub(crate) fn require(command: &mut Command) -> anyhow::Result<()> {
    let status = run(command)?;
    ensure!(status.success(), "{} failed ({status})", shown(command));
    Ok(())
}

/// Whether the quicker test runner is here.
pub(crate) fn has_nextest() -> bool {
    let asked = cargo(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// This process's exit code for a child's; 1 for one that was killed.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// A command as one would type it, without the variables: a database's URL may hold a password.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    words.join(" ")
}
