//! A tool in a process of its own, to be killed with its threads.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use punctual_queue_tools::nsq_to_file::NsqToFile;
use punctual_queue_tools::nsq_to_http::NsqToHttp;
use tokio_util::sync::CancellationToken;

use crate::servers::install_crypto_provider;
use crate::tool::flags;

/// The name of the tool, and its flags, one a line.
const COMMAND: &str = "TOOL_UNDER_TEST_COMMAND";

/// The process; killed when dropped.
pub(crate) struct ToolProcess(Child);

impl ToolProcess {
    /// Starts a tool, which trusts over https whom `authorities` names.
    pub(crate) fn start(tool: &str, words: &[&str], authorities: Option<&Path>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--exact", "process::the_tool_that_tests_kill", "--ignored", "--nocapture"])
            .env(COMMAND, [&[tool], words].concat().join("\n"))
            .stdout(Stdio::null());
        if let Some(authorities) = authorities {
            command.env("SSL_CERT_FILE", authorities);
        }
        Ok(Self(command.spawn()?))
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(self.0.id().try_into()?), signal)?)
    }
}

impl Drop for ToolProcess {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may be gone already
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "not a test: other tests start it as a process and kill it"]
async fn the_tool_that_tests_kill() {
    // A runner that runs all that is ignored comes here too.
    let Ok(command) = std::env::var(COMMAND) else { return };
    install_crypto_provider();
    let words: Vec<_> = command.split('\n').collect();
    let never = CancellationToken::new();
    match words[0] {
        "nsq_to_file" => flags::<NsqToFile>(&words[1..]).unwrap().run(never).await.unwrap(),
        "nsq_to_http" => flags::<NsqToHttp>(&words[1..]).unwrap().run(never).await.unwrap(),
        other => panic!("no test starts {other}"),
    }
}
