//! What a job wants started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use chrono::SecondsFormat;
use serde::Deserialize;
use tokio::process::Command;

use super::allowed::{AllowedPrograms, ProgramError};
use crate::context::Context;
use crate::handler::HandlerError;

/// Where programs are looked for when the worker itself was started without a PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What of the worker's environment a program gets to see.
const INHERITED: [&str; 3] = ["PATH", "HOME", "LANG"];

/// The payload of kind `exec`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub(super) struct ExecTask {
    argv: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default, alias = "workingDir")]
    working_dir: String,
}

impl ExecTask {
    /// The task of an attempt.
    ///
    /// # Errors
    /// When the payload is none, or holds what no process can be given. No retry can mend that.
    pub(super) fn of(context: &Context) -> Result<Self, HandlerError> {
        let task: Self = context.payload()?;
        let invalid = |text: String| HandlerError::new(text).kind("invalid_payload").not_retryable();
        if task.argv.is_empty() {
            return Err(invalid("argv is empty: it needs a program".to_owned()));
        }
        if let Some(name) = task.env.keys().find(|name| name.is_empty() || name.contains('=')) {
            return Err(invalid(format!("{name:?} is not the name of an environment variable")));
        }
        let in_env = task.env.iter().any(|(name, value)| name.contains('\0') || value.contains('\0'));
        if in_env || task.argv.iter().chain([&task.working_dir]).any(|text| text.contains('\0')) {
            return Err(invalid("argv, env and working_dir cannot hold the character NUL".to_owned()));
        }
        Ok(task)
    }

    /// What to start, without pipes and group yet. Looks at the file system.
    ///
    /// # Errors
    /// When it must not or cannot be started. None of them is retryable.
    pub(super) fn command(
        self,
        allowed: &AllowedPrograms,
        context: &Context,
    ) -> Result<Command, HandlerError> {
        let refused = |kind: &str, text: String| HandlerError::new(text).kind(kind).not_retryable();
        let working_dir =
            if self.working_dir.is_empty() { Path::new(".") } else { Path::new(&self.working_dir) };
        if !working_dir.is_dir() {
            let text = format!("working_dir {:?} is not a directory on this worker", self.working_dir);
            return Err(refused("no_working_dir", text));
        }
        if let AllowedPrograms::Listed(_) = allowed
            && let Some(name) = self.env.keys().find(|name| name.starts_with("LD_"))
        {
            let text = format!(
                "the variable {name} could make an allowed program run anything: it needs --allow-exec '*'"
            );
            return Err(refused("variable_not_allowed", text));
        }
        let [program, arguments @ ..] = self.argv.as_slice() else {
            return Err(refused("invalid_payload", "argv is empty".to_owned()));
        };
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
        let file = allowed.find(program, Some(&path), working_dir).map_err(|error| {
            let kind = match &error {
                ProgramError::NotFound(_) => "program_not_found",
                ProgramError::NotAllowed(_) => "program_not_allowed",
            };
            refused(kind, error.to_string())
        })?;

        // Resolved here, for the child would look for it after it has changed its directory.
        let file = std::path::absolute(&file).unwrap_or(file);
        let mut command = Command::new(file);
        command.arg0(program).args(arguments).current_dir(working_dir).env_clear();
        command.env("PATH", &path);
        command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(&self.env);
        command.envs(about(context));
        Ok(command)
    }
}

/// What a program may know about its attempt. A job cannot set these.
fn about(context: &Context) -> [(&'static str, String); 4] {
    [
        ("PUNCTUAL_RUN_ID", context.run_id().to_owned()),
        ("PUNCTUAL_ATTEMPT", context.attempt().to_string()),
        ("PUNCTUAL_JOB", context.job().to_owned()),
        ("PUNCTUAL_DUE_AT", context.due_at().to_rfc3339_opts(SecondsFormat::AutoSi, true)),
    ]
}
