use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// How one command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// What it printed as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The binary, with nothing of this process's environment that could change what it does.
pub(crate) fn punctual() -> Command {
    at(env!("CARGO_BIN_EXE_punctual"))
}

/// The same, called by another name.
pub(crate) fn at(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PUNCTUAL_") || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the binary with these words and nothing on standard input.
pub(crate) async fn run(words: &[&str]) -> Ended {
    run_with_input(words, "").await
}

/// Runs the binary with these words, and `input` on standard input.
pub(crate) async fn run_with_input(words: &[&str], input: &str) -> Ended {
    end_of(punctual().args(words), input).await
}

/// Runs a command with `input` on standard input.
pub(crate) async fn end_of(command: &mut Command, input: &str) -> Ended {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feed = async {
        // A command that is done before it has read all of it is no failure.
        let _unread = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
    };
    let end = async { tokio::join!(feed, child.wait_with_output()).1.unwrap() };
    let output = tokio::time::timeout(Duration::from_secs(60), end).await.expect("the command ends");
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
