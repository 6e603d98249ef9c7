//! Everything for real: Postgres, queue, lookup, scheduler and worker in one process.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::command::{punctual, run};

/// Making a cluster takes seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A `punctual dev` that serves.
struct Dev {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Dev {
    async fn start(data_dir: &Path, words: &[&str]) -> Self {
        let mut child = punctual().args(dev_words(data_dir)).args(words).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut dev = Self { child, lines, url: String::new() };
        let ready = dev.line(|line| line.starts_with("ready")).await;
        dev.url = ready.rsplit(' ').next().unwrap().to_owned();
        dev
    }

    /// The next line of its standard output that is `wanted`.
    async fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let next = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if wanted(&line) {
                    return line;
                }
            }
            panic!("its output ended")
        };
        tokio::time::timeout(PATIENCE, next).await.expect("the line comes")
    }

    async fn stop(mut self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()), signal).unwrap();
        // Read on, so that it never waits for a reader.
        let read = async { while self.lines.next_line().await.unwrap().is_some() {} };
        let end = async { tokio::join!(read, self.child.wait()).1.unwrap() };
        let status = tokio::time::timeout(PATIENCE, end).await.expect("it stops");
        assert!(status.success(), "{status}");
    }
}

fn dev_words(data_dir: &Path) -> Vec<String> {
    let addresses = ["grpc", "queue-tcp", "queue-http", "lookup-tcp", "lookup-http"];
    let mut words = vec!["dev".to_owned(), "--data-dir".to_owned(), data_dir.display().to_string()];
    words.extend(addresses.map(|name| format!("--{name}-address=127.0.0.1:0")));
    words
}

#[tokio::test]
async fn a_newcomer_sees_runs_stops_everything_and_finds_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut dev = Dev::start(&data_dir, &["--demo"]).await;
    dev.line(|line| line.contains("  tick  succeeded  ")).await;

    let listed = run(&["job", "list", "--server", &dev.url, "-o", "json"]).await.json();
    assert!(listed.as_array().unwrap().iter().any(|job| job["name"] == "tick"), "{listed}");
    let triggered = run(&["job", "trigger", "disk-usage", "--server", &dev.url, "-o", "json"]).await.json();
    let id = triggered[0]["id"].as_str().unwrap();
    assert_eq!(run(&["run", "watch", id, "--server", &dev.url]).await.code, 0);
    let flaky = dev.line(|line| line.contains("  flaky  succeeded  attempt 3  ")).await;
    let flaky = run(&["run", "get", flaky.rsplit(' ').next().unwrap(), "--server", &dev.url]).await;
    assert!(flaky.out.contains("  | attempt 1 at report.csv\n"), "{}", flaky.out);

    let words = dev_words(&data_dir);
    let second = run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(second.code, 1);
    let pid = dev.child.id().unwrap();
    assert_eq!(
        second.err,
        format!(
            "error: {} is in use by process {pid}: stop it, or choose another data directory\n",
            data_dir.display()
        )
    );
    dev.stop(Signal::SIGTERM).await;

    let dev = Dev::start(&data_dir, &[]).await;
    let again = run(&["run", "get", id, "--server", &dev.url, "-o", "json"]).await.json();
    assert_eq!((again[0]["state"].as_str(), again[0]["attempts"].as_u64()), (Some("succeeded"), Some(1)));
    let listed_again = run(&["job", "list", "--server", &dev.url, "-o", "json"]).await.json();
    assert_eq!(listed_again.as_array().unwrap().len(), listed.as_array().unwrap().len());
    dev.stop(Signal::SIGINT).await;
}

#[tokio::test]
async fn a_port_in_use_is_named_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut words = dev_words(folder.path());
    words.retain(|word| !word.starts_with("--queue-http-address"));
    words.push(format!("--queue-http-address={address}"));
    let ended = run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("error: the queue node cannot start: "), "{}", ended.err);
    assert!(ended.err.contains(&address), "{}", ended.err);
    assert!(!folder.path().join("postgres").exists(), "Postgres was not even begun");
}
