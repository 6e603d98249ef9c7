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
    forget_this_package(command);
    eprintln!("$ {}", shown(command));
    command.status().with_context(|| format!("could not run {}", shown(command)))
}

/// `cargo run` tells this program about its own package, and a cargo started from here would pass that on. Build scripts
/// that look at it (ring's does) would be run again, and all that depends on them built again, each time that cargo is
/// called from here and from a shell in turn.
fn forget_this_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
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
