//! The client commands, as people type them.

use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::process::output;
use punctual_tests::programs;
use punctual_tests::wait::until;
use serde_json::Value;

/// A shell with `PUNCTUAL_SERVER` set.
struct Shell {
    server: String,
}

impl Shell {
    fn run(&self, args: &[&str]) -> anyhow::Result<std::process::Output> {
        output(&programs::punctual()?, args, &[("PUNCTUAL_SERVER", &self.server)])
    }

    /// What a command prints that must succeed.
    fn says(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.run(args)?;
        ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The array that a command prints with `-o json`.
    fn json(&self, args: &[&str]) -> anyhow::Result<Vec<Value>> {
        // What follows `--` belongs to the run's program.
        let (flags, program) = args.split_at(args.iter().position(|arg| *arg == "--").unwrap_or(args.len()));
        let said = self.says(&[flags, &["-o", "json"], program].concat())?;
        serde_json::from_str(&said).with_context(|| format!("{args:?} printed no JSON array: {said}"))
    }

    /// What a command that must fail says, and its exit code.
    fn fails(&self, args: &[&str]) -> anyhow::Result<(i32, String)> {
        let output = self.run(args)?;
        let code = output.status.code().context("it was killed")?;
        ensure!(code != 0, "{args:?} succeeded");
        Ok((code, String::from_utf8(output.stderr)?))
    }
}

const JOBS: &str = r#"
jobs:
  - name: hello
    schedule: { cron: "0 9 * * MON-FRI", zone: Europe/Berlin }
    exec: { argv: ["/bin/echo", "hello"] }
    labels: { team: ops }
  - name: fails
    exec: { argv: ["/bin/sh", "-c", "echo why it failed >&2; exit 3"] }
    retry: { max_tries: 1 }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_applied_listed_triggered_paused_resumed_and_deleted() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape { workers: 1, ..Shape::small() }).await?;
    let shell = Shell { server: cluster.servers().join(",") };
    let file = cluster.dir().join("jobs.yaml");
    std::fs::write(&file, JOBS)?;
    let file = file.to_string_lossy().into_owned();

    shell.says(&["job", "apply", "-f", &file])?;
    shell.says(&["job", "apply", "-f", &file])?;
    let jobs = shell.json(&["job", "list"])?;
    let names: Vec<&Value> = jobs.iter().map(|job| &job["name"]).collect();
    ensure!(names == ["fails", "hello"], "{names:?}");
    ensure!(jobs.iter().all(|job| job["version"] == 1), "applying the same again made versions: {jobs:?}");
    ensure!(shell.says(&["job", "list"])?.contains("hello"));

    shell.says(&["job", "pause", "hello"])?;
    ensure!(shell.json(&["job", "get", "hello"])?[0]["state"] == "paused");
    shell.says(&["job", "resume", "hello"])?;
    ensure!(shell.json(&["job", "get", "hello"])?[0]["state"] == "active");

    shell.says(&["job", "trigger", "hello"])?;
    shell.says(&["job", "trigger", "fails"])?;
    let failed = ended_run(&shell, "fails").await?;
    let id = failed["id"].as_str().context("a run without an id")?;
    let shown = shell.json(&["run", "get", id])?;
    ensure!(shown[0]["state"] == "failed" && shown[0]["attempts"] == 1, "{shown:?}");
    let told = shell.says(&["run", "get", id])?;
    ensure!(told.contains("why it failed"), "history does not show why the job failed: {told}");
    let hello = ended_run(&shell, "hello").await?;
    ensure!(
        hello["state"] == "succeeded" && hello["job"] == "hello" && hello["due_at"].is_string(),
        "{hello}"
    );
    let watched = shell.says(&["run", "watch", hello["id"].as_str().unwrap_or_default()])?;
    ensure!(watched.contains("succeeded"), "{watched}");

    shell.says(&["job", "delete", "hello"])?;
    let (code, said) = shell.fails(&["job", "get", "hello"])?;
    ensure!(code == 3 && said.contains("hello"), "{code}: {said}");
    let (code, said) = shell.fails(&["run", "cancel", id])?;
    ensure!(code == 1 && said.contains("failed"), "{code}: {said}");
    cluster.stop().await
}

async fn ended_run(shell: &Shell, job: &str) -> anyhow::Result<Value> {
    until(&format!("the run of {job} to end"), Duration::from_secs(15), async || {
        let runs = shell.json(&["run", "list", "--job", job]).map_err(|error| error.to_string())?;
        runs.iter().find(|run| run["ended_at"].is_string()).cloned().ok_or(format!("{runs:?}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_off_runs_are_created_watched_and_cancelled() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape { workers: 1, ..Shape::small() }).await?;
    let shell = Shell { server: cluster.servers().join(",") };
    let created = shell.json(&["run", "create", "--", "/bin/echo", "once"])?;
    let id = created[0]["id"].as_str().context("a run without an id")?;
    let watched = shell.says(&["run", "watch", id])?;
    ensure!(watched.contains("succeeded"), "{watched}");

    let created = shell.json(&["run", "create", "--", "/bin/sleep", "600"])?;
    let id = created[0]["id"].as_str().context("a run without an id")?;
    let state = async || {
        Ok::<_, String>(shell.json(&["run", "get", id]).map_err(|error| error.to_string())?[0].clone())
    };
    let becomes = async |wanted: &str| {
        until(wanted, Duration::from_secs(20), async || match state().await? {
            run if run["state"] == wanted => Ok(run),
            run => Err(run.to_string()),
        })
        .await
    };
    becomes("running").await?;
    shell.says(&["run", "cancel", id])?;
    becomes("cancelled").await?;
    cluster.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_shown_before_it_is_saved() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape::small()).await?;
    let shell = Shell { server: cluster.servers().join(",") };
    let preview = ["schedule", "preview", "--cron", "30 2 * * *", "--zone", "America/New_York"];
    let range = ["--from", "2026-03-07T00:00:00Z", "--until", "2026-03-10T00:00:00Z"];
    let instants = shell.json(&[&preview[..], &range].concat())?;
    let at: Vec<&str> = instants.iter().filter_map(|instant| instant["at"].as_str()).collect();
    ensure!(at == ["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"], "{at:?}");
    ensure!(instants[1]["note"].as_str().is_some_and(|note| note.contains("does not exist")), "{instants:?}");
    let (code, said) = shell.fails(&["schedule", "preview", "--cron", "0 24 * * *"])?;
    ensure!(code == 1 && said.contains("at character 3"), "{code}: {said}");
    cluster.stop().await
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_to_do() -> anyhow::Result<()> {
    let shell = Shell { server: "http://127.0.0.1:1".to_owned() };
    let (code, said) = shell.fails(&["job", "list", "--timeout", "2s"])?;
    ensure!(code == 4, "{code}: {said}");
    ensure!(said.contains("http://127.0.0.1:1") && said.contains("punctual dev"), "{said}");
    Ok(())
}
