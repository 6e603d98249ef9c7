//! Suites of tests in other languages, run on our binary by NSQ's names.

mod node_packages;
mod python;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::namespace::in_a_network_of_its_own;
use crate::process::{clean_environment, dies_with_its_parent};
use crate::programs;
pub use node_packages::node_packages;
pub use python::Python;

/// The names by which the binary is NSQ's.
const NAMES: [&str; 2] = ["nsqd", "nsqlookupd"];

/// A run of another runner, on `nsqd` and `nsqlookupd` from `PATH`.
#[derive(Debug)]
pub struct Suite {
    name: &'static str,
    program: PathBuf,
    args: Vec<OsString>,
    dir: PathBuf,
    envs: Vec<(&'static str, OsString)>,
}

impl Suite {
    /// One that is started in `dir`.
    pub fn new(name: &'static str, program: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> Self {
        Self { name, program: program.into(), args: Vec::new(), dir: dir.into(), envs: Vec::new() }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.envs.push((name, value.into()));
        self
    }

    /// Runs it in a network of its own. What it prints is shown, kept in `NAME.log`, and given.
    ///
    /// # Errors
    /// When it cannot be run, or fails.
    pub fn run(&self) -> anyhow::Result<String> {
        let links = tempfile::tempdir()?;
        for name in NAMES {
            std::os::unix::fs::symlink(programs::punctual()?, links.path().join(name))?;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let with_links = std::env::join_paths(
            std::iter::once(links.path().to_owned()).chain(std::env::split_paths(&path)),
        )?;
        let output = in_a_network_of_its_own(|| {
            let mut command = Command::new(&self.program);
            command.args(&self.args).current_dir(&self.dir).stdin(Stdio::null());
            clean_environment(&mut command);
            command.env("PATH", &with_links).envs(self.envs.iter().map(|(name, value)| (name, value)));
            dies_with_its_parent(&mut command);
            command.output().with_context(|| format!("cannot start {}", self.program.display()))
        })?;
        let printed = [output.stdout, output.stderr].concat();
        std::io::stderr().write_all(&printed)?;
        let log = home()?.join(format!("{}.log", self.name));
        fs::write(&log, &printed)?;
        ensure!(output.status.success(), "{} failed: {}; see {}", self.name, output.status, log.display());
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}

/// The number before `word` in what a runner printed, such as that of `17 passed`.
pub fn count_before(printed: &str, word: &str) -> usize {
    let words: Vec<&str> = printed.split_whitespace().map(|word| word.trim_matches([',', '='])).collect();
    let pairs = words.windows(2).rev();
    let count = pairs.filter(|pair| pair[1] == word).find_map(|pair| pair[0].parse().ok());
    count.unwrap_or(0)
}

/// Where the suites of the repository are.
pub fn clients() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/clients"))
}

/// Where what they need is installed, for the next run too.
fn home() -> anyhow::Result<PathBuf> {
    let dir = programs::scratch()?.join("clients");
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Installs with `install` into a directory, unless it was done for the same `wanted` files before.
fn installed(
    name: &str,
    wanted: &[PathBuf],
    install: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let dir = home()?.join(name);
    let mut contents = Vec::new();
    for path in wanted {
        contents.extend(fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let stamp = dir.join("installed-for");
    if fs::read(&stamp).is_ok_and(|before| before == contents) {
        return Ok(dir);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    install(&dir)?;
    fs::write(&stamp, contents)?;
    Ok(dir)
}

/// Runs a program of the machine's that installs something.
fn run(command: &mut Command, missing: &str) -> anyhow::Result<()> {
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => bail!("{missing} ({error})"),
    };
    let printed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {printed}");
    Ok(())
}
