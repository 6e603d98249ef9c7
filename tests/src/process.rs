//! A process of the system under test.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::until;

/// A process that writes its log to a file, and that does not outlive the test.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts `program`; what it prints goes to `NAME.log` in `log_dir`, after what is there already.
    ///
    /// Start it from a thread that lives as long as the test: it is killed when that thread ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = impl Into<OsString>>,
        log_dir: &Path,
    ) -> anyhow::Result<Self> {
        Self::start_in(Vec::new(), name, program, args, log_dir)
    }

    /// The same with these variables in its environment, also when it is started again.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_in(
        envs: Vec<(OsString, OsString)>,
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = impl Into<OsString>>,
        log_dir: &Path,
    ) -> anyhow::Result<Self> {
        let mut process = Self {
            name: name.to_owned(),
            program: program.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            envs,
            log: log_dir.join(format!("{name}.log")),
            child: None,
        };
        process.start_again()?;
        Ok(process)
    }

    /// Starts it anew with the same arguments, once it has ended.
    ///
    /// # Errors
    /// When it cannot be started, or runs still.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        if self.pid().is_some() {
            bail!("{} runs already", self.name);
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        clean_environment(&mut command);
        command.envs(self.envs.iter().map(|(name, value)| (name, value)));
        dies_with_its_parent(&mut command);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// What it is called in logs and histories.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// While it runs, or until its end was waited for.
    pub fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(|child| Pid::from_raw(child.id().cast_signed()))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.name))?;
        kill(pid, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Kills it with -9 and waits for its end, so that its ports are free again.
    ///
    /// # Errors
    /// When it had ended before: that is a finding.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let child = self.child.as_mut().with_context(|| format!("{} does not run", self.name))?;
        if let Some(status) = child.try_wait()? {
            bail!("{} had ended by itself: {status}; see {}", self.name, self.log.display());
        }
        child.kill()?;
        child.wait()?;
        self.child = None;
        Ok(())
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// Those of the system.
    pub fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.as_mut().map(Child::try_wait).transpose()?.flatten())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it runs longer than `within`.
    pub async fn ended(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let name = self.name.clone();
        let child = self.child.as_mut().with_context(|| format!("{name} does not run"))?;
        let what = format!("the end of {name}");
        let status = until(&what, within, async || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await?;
        self.child = None;
        Ok(status)
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it does not end in time, or not with 0.
    pub async fn stop(&mut self, within: Duration) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM)?;
        let status = self.ended(within).await?;
        if !status.success() {
            let how = status.signal().map_or_else(|| status.to_string(), |signal| format!("signal {signal}"));
            bail!("{} ended with {how} when asked to stop; see {}", self.name, self.log.display());
        }
        Ok(())
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last lines of what it printed, for a failed test.
    pub fn last_lines(&self, count: usize) -> String {
        let printed = self.printed();
        let lines: Vec<&str> = printed.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only when it is gone already.
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// Nothing of the test's own settings reaches what is tested.
pub fn clean_environment(command: &mut Command) {
    command.env_clear();
    for kept in ["PATH", "HOME", "LANG", "TMPDIR", "PG_BINDIR"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
}

/// A test that is killed leaves no processes behind.
pub fn dies_with_its_parent(command: &mut Command) {
    let die = || Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?);
    #[expect(unsafe_code, reason = "between fork and exec only a system call is made, as that moment allows")]
    // SAFETY: `prctl` is async-signal-safe and touches no memory of ours.
    unsafe {
        command.pre_exec(die);
    }
}

/// Runs a program to its end and gives its output.
///
/// # Errors
/// When it cannot be started.
pub fn output(program: &Path, args: &[&str], envs: &[(&str, &str)]) -> anyhow::Result<std::process::Output> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    clean_environment(&mut command);
    command.envs(envs.iter().copied());
    command.output().with_context(|| format!("cannot start {}", program.display()))
}

/// Makes a file, for what a test wants to leave behind.
///
/// # Errors
/// Those of the system.
pub fn create_file(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot make {}", path.display()))
}
