//! What signals do to a process: this test binary, run again.

use std::future::pending;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use punctual_service::parts::Parts;
use tokio_util::sync::CancellationToken;

const BEHAVIOUR: &str = "SIGNALLED_PROCESS";

struct Process {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Process {
    fn start(behaviour: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "signals::signalled_process", "--ignored", "--nocapture"])
            .env(BEHAVIOUR, behaviour)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    fn wait_until_it_says(&mut self, what: &str) {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert_ne!(self.said.read_line(&mut line).unwrap(), 0, "it ended without saying {what}");
        }
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn the_first_signal_stops_cleanly() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut process = Process::start("obeys");
        process.wait_until_it_says("part is up");
        process.send(signal);
        process.wait_until_it_says("stopped");
        assert_eq!(process.exit_code(), Some(0));
    }
}

#[test]
fn the_second_signal_stops_at_once() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut process = Process::start("hangs");
        process.wait_until_it_says("part is up");
        process.send(Signal::SIGTERM);
        process.wait_until_it_says("stopping");
        process.send(signal);
        assert_eq!(process.exit_code(), Some(code));
    }
}

#[tokio::test]
#[ignore = "not a test: what the other process runs"]
async fn signalled_process() {
    let Ok(behaviour) = std::env::var(BEHAVIOUR) else { return };
    let shutdown = CancellationToken::new();
    let mut parts = Parts::new(shutdown.clone()).drain_within(Duration::from_secs(600));
    parts.add("part", async move {
        println!("part is up");
        shutdown.cancelled().await;
        println!("stopping");
        if behaviour == "hangs" {
            pending::<()>().await;
        }
        Ok(())
    });
    parts.run_until_signalled().await.unwrap();
    println!("stopped");
}
