//! What a newcomer does: `punctual dev`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use punctual_tests::port::Port;
use punctual_tests::process::{Process, output};
use punctual_tests::programs;
use punctual_tests::wait::until;
use serde_json::Value;

struct Dev {
    process: Process,
    server: String,
    /// Claimed as long as it may run.
    _ports: Vec<Port>,
}

fn start(name: &str, dir: &Path, more: &[&str]) -> anyhow::Result<Dev> {
    let mut args =
        vec!["dev".to_owned(), "--data-dir".to_owned(), dir.join("data").to_string_lossy().into_owned()];
    let mut ports = Vec::new();
    let mut server = String::new();
    let flags = ["grpc", "queue-tcp", "queue-http", "lookup-tcp", "lookup-http"];
    for flag in flags {
        let port = Port::claim()?;
        let address = format!("127.0.0.1:{}", port.number());
        if flag == "grpc" {
            server = format!("http://{address}");
        }
        args.extend([format!("--{flag}-address"), address]);
        ports.push(port);
    }
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    let process = Process::start(name, &programs::punctual()?, args, dir)?;
    Ok(Dev { process, server, _ports: ports })
}

impl Dev {
    /// Waits for its line, of which there must be one.
    async fn ready(&mut self) -> anyhow::Result<()> {
        until("the ready line", Duration::from_secs(60), async || {
            if let Ok(Some(status)) = self.process.exited() {
                return Ok(Err(format!("it ended with {status}: {}", self.process.printed())));
            }
            let printed = self.process.printed();
            if printed.lines().any(|line| line.starts_with("ready")) { Ok(Ok(())) } else { Err(printed) }
        })
        .await?
        .map_err(anyhow::Error::msg)
    }

    fn json(&self, args: &[&str]) -> anyhow::Result<Vec<Value>> {
        let args = [args, &["-o", "json"]].concat();
        let output = output(&programs::punctual()?, &args, &[("PUNCTUAL_SERVER", &self.server)])?;
        ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("no JSON array")
    }

    async fn has_succeeded(&self, job: &str, times: usize) -> anyhow::Result<()> {
        until(&format!("{times} runs of {job} to succeed"), Duration::from_secs(30), async || {
            let runs = self.json(&["run", "list", "--job", job, "--state", "succeeded"]);
            match runs.map_err(|error| error.to_string())?.len() {
                found if found >= times => Ok(()),
                found => Err(format!("{found}")),
            }
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_serves_stops_cleanly_goes_on_where_it_was_and_refuses_a_second_one() -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(programs::scratch()?)?;
    let mut dev = start("dev", dir.path(), &[])?;
    dev.ready().await?;
    let file = dir.path().join("tick.json");
    std::fs::write(
        &file,
        r#"{"name": "tick", "schedule": {"every": "1s"}, "exec": {"argv": ["/bin/date", "+%s"]}}"#,
    )?;
    dev.json(&["job", "apply", "-f", &file.to_string_lossy()])?;
    dev.has_succeeded("tick", 3).await?;

    let mut second = start("second", dir.path(), &[])?;
    let status = second.process.ended(Duration::from_secs(20)).await?;
    ensure!(!status.success(), "a second one ran on the same data");
    let said = second.process.printed();
    ensure!(said.contains("data") && !said.contains("panicked") && !said.contains("\nready"), "{said}");
    dev.has_succeeded("tick", 4).await?;

    // Ctrl-C.
    dev.process.signal(Signal::SIGINT)?;
    let status = dev.process.ended(Duration::from_secs(30)).await?;
    ensure!(status.success(), "Ctrl-C: {status}");
    let printed = dev.process.printed();
    ensure!(printed.lines().filter(|line| line.starts_with("ready")).count() == 1, "{printed}");
    ensure!(
        printed.contains("psql") && printed.contains("job_history"),
        "nothing says how to see history: {printed}"
    );

    let mut again = start("dev-again", dir.path(), &[])?;
    again.ready().await?;
    let kept = again.json(&["run", "list", "--job", "tick", "--state", "succeeded"])?.len();
    ensure!(kept >= 4, "only {kept} runs were kept");
    again.has_succeeded("tick", kept + 2).await?;

    // Killed, and started again: the database and the queue recover.
    again.process.kill()?;
    let mut after_kill = start("dev-after-kill", dir.path(), &[])?;
    after_kill.ready().await?;
    after_kill.has_succeeded("tick", kept + 3).await?;
    after_kill.process.stop(Duration::from_secs(30)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_the_sample_jobs_and_their_runs() -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(programs::scratch()?)?;
    let mut dev = start("demo", dir.path(), &["--demo"])?;
    dev.ready().await?;
    ensure!(dev.json(&["job", "list"])?.len() >= 5, "too few samples");
    dev.has_succeeded("tick", 2).await?;
    until("runs to be shown", Duration::from_secs(20), async || {
        let printed = dev.process.printed();
        if printed.lines().any(|line| line.contains("tick") && line.contains("succeeded")) {
            Ok(())
        } else {
            Err(printed)
        }
    })
    .await?;
    dev.process.stop(Duration::from_secs(40)).await
}
