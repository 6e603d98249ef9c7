//! A process that holds a Postgres: this test binary, run again, perhaps as somebody else.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use punctual_postgres::{Options, Postgres};

const DATA_DIR: &str = "HOLDER_DATA_DIR";

/// `nobody`, or near enough.
pub(crate) const STRANGER: u32 = 65_534;

pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// A process that holds a Postgres until it is killed or dropped.
pub(crate) struct Holder {
    process: Child,
    said: BufReader<ChildStdout>,
    _copy: tempfile::TempDir,
}

impl Holder {
    pub(crate) fn spawn(data_dir: &Path) -> Self {
        Self::spawn_with(data_dir, |command| command)
    }

    /// Lets `adjust` change the command: its user, its environment.
    pub(crate) fn spawn_with(data_dir: &Path, adjust: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let (copy, program) = program_for_all();
        let mut command = Command::new(program);
        command
            .args(["--exact", "holder::hold", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DATA_DIR, data_dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = adjust(&mut command).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said, _copy: copy }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The next line that starts with `what`, without it; the process says it or ends.
    pub(crate) fn says(&mut self, what: &str) -> String {
        let mut all = String::new();
        for line in self.said.by_ref().lines() {
            let line = line.unwrap();
            // The test runner may have put something of its own in front.
            if let Some((_, rest)) = line.split_once(what) {
                return rest.trim().to_owned();
            }
            all.push_str(&line);
            all.push('\n');
        }
        panic!("it ended without saying {what:?}:\n{all}");
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Lets it stop its Postgres and end.
    pub(crate) fn release(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Runs as the stranger, without the environment of this user.
pub(crate) fn as_stranger(command: &mut Command) -> &mut Command {
    command.uid(STRANGER).gid(STRANGER).env("HOME", "/nonexistent")
}

/// The test binary may lie where a stranger cannot go.
fn program_for_all() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("holder");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (dir, program)
}

#[test]
#[ignore = "not a test: what the other process runs"]
fn hold() {
    let Some(data_dir) = std::env::var_os(DATA_DIR) else { return };
    let mut out = std::io::stdout();
    match Postgres::start(Options::new(data_dir)) {
        Ok(postgres) => {
            postgres.execute("postgres", "create table if not exists starts (at timestamptz)").unwrap();
            postgres.execute("postgres", "insert into starts values (now())").unwrap();
            writeln!(out, "postmaster {}", postgres.pid()).unwrap();
            writeln!(out, "socket {}", postgres.socket_dir().display()).unwrap();
            let _until_closed = std::io::stdin().lines().count();
            postgres.stop().unwrap();
        }
        Err(error) => writeln!(out, "error {error}").unwrap(),
    }
}
