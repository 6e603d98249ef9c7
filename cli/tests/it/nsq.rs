//! The binary under NSQ's names.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::command::{self, Ended, at};

pub(crate) const NAMES: [&str; 9] = [
    "nsqd",
    "nsqlookupd",
    "nsqadmin",
    "nsq_stat",
    "nsq_tail",
    "nsq_to_file",
    "nsq_to_http",
    "nsq_to_nsq",
    "to_nsq",
];

/// What anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with the links, and room for data.
pub(crate) struct Installed {
    folder: TempDir,
}

impl Installed {
    /// Links made as an operator makes them.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = command::run(&["queue", "install-links", folder.path().to_str().unwrap()]).await;
        assert_eq!(made.code, 0, "{made:?}");
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        at(self.folder.path().join(name))
    }

    /// Runs a program with these words and nothing on standard input.
    pub(crate) async fn run(&self, name: &str, words: &[&str]) -> Ended {
        command::end_of(self.command(name).args(words), "").await
    }

    /// Starts `nsqd` on loopback, with its data in the folder `data`.
    pub(crate) async fn nsqd(&self, data: &str, words: &[&str]) -> Daemon {
        let dir = self.folder.path().join(data);
        std::fs::create_dir_all(&dir).unwrap();
        let mut command = self.command("nsqd");
        command
            .args(["-tcp-address", "127.0.0.1:0", "--http-address=127.0.0.1:0"])
            .args(words)
            .current_dir(dir);
        Daemon::start(&mut command).await
    }

    /// Starts `nsqlookupd` on loopback.
    pub(crate) async fn nsqlookupd(&self) -> Daemon {
        let words =
            ["--tcp-address", "127.0.0.1:0", "-http-address=127.0.0.1:0", "-broadcast-address=127.0.0.1"];
        Daemon::start(self.command("nsqlookupd").args(words)).await
    }
}

/// A daemon that serves.
pub(crate) struct Daemon {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    /// What it logged until it served.
    pub(crate) beginning: Vec<String>,
    pub(crate) tcp: String,
    pub(crate) http: String,
}

impl Daemon {
    pub(crate) async fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut daemon = Self { child, log, beginning: vec![], tcp: String::new(), http: String::new() };
        let listening = async {
            loop {
                let line = daemon.log.next_line().await.unwrap().expect("it serves before it ends");
                let address = |name: &str| {
                    let found = line.split(' ').find_map(|word| word.strip_prefix(name));
                    found.map(str::to_owned)
                };
                if let (Some(tcp), Some(http)) = (address("tcp.address="), address("http.address=")) {
                    (daemon.tcp, daemon.http) = (tcp, http);
                    return;
                }
                daemon.beginning.push(line);
            }
        };
        timeout(PATIENCE, listening).await.expect("it serves");
        daemon
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal and waits for the end.
    pub(crate) async fn stop(self, signal: Signal) -> ExitStatus {
        let Self { mut child, mut log, .. } = self;
        kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), signal).unwrap();
        let read = async { while log.next_line().await.unwrap().is_some() {} };
        let end = async { tokio::join!(read, child.wait()).1.unwrap() };
        timeout(PATIENCE, end).await.expect("it stops")
    }

    /// What it answers to a GET, as JSON.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = request(&self.http, "GET", path, "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) async fn publish(&self, topic: &str, body: &str) {
        let answer = request(&self.http, "POST", &format!("/pub?topic={topic}"), body).await;
        assert_eq!(answer, (200, "OK".to_owned()));
    }

    /// Asks again and again until the answer is as wanted.
    pub(crate) async fn wait_until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let asked = async {
            loop {
                ticks.tick().await;
                let answer = self.get(path).await;
                if wanted(&answer) {
                    return answer;
                }
            }
        };
        timeout(PATIENCE, asked).await.expect("the answer becomes as wanted")
    }
}

/// The status and body of an answer over HTTP.
async fn request(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    write!(request, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("it answers").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
