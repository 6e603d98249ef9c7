//! A node in a process of its own, to be killed with its threads.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use punctual_queue_node::node::Node;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, Running};

const DIR: &str = "NODE_UNDER_TEST_DIR";
const ANNOUNCED: &str = "node under test: ";

/// The process; killed when dropped.
pub(crate) struct NodeProcess {
    child: Child,
}

impl NodeProcess {
    /// Starts a node on the fixture's directory; it is served when this returns.
    pub(crate) fn start(fixture: &Fixture) -> (Self, Running) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::the_node_that_tests_kill", "--ignored", "--nocapture"])
            .env(DIR, fixture.data_path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let announced =
            lines.find_map(|line| Some(line.unwrap().split_once(ANNOUNCED)?.1.to_owned())).unwrap();
        let (tcp, http) = announced.split_once(' ').unwrap();
        let running = fixture.running_elsewhere(tcp.parse().unwrap(), http.parse().unwrap());
        (Self { child }, running)
    }

    /// As `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may be gone already
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "not a test: other tests start it as a process and kill it"]
async fn the_node_that_tests_kill() {
    // A runner that runs all that is ignored comes here too.
    let Some(dir) = std::env::var_os(DIR) else { return };
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.data_path = dir.into();
    options.msg_timeout = std::time::Duration::from_secs(600);
    options.max_req_timeout = std::time::Duration::from_secs(30 * 24 * 3600);
    let node = Node::open(options).await.unwrap();
    println!("\n{ANNOUNCED}{} {}", node.tcp_address(), node.http_address().unwrap());
    node.run(CancellationToken::new()).await.unwrap();
}
