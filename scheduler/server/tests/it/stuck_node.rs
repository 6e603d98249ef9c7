//! A queue node that takes everything and answers nothing holds up nobody else's doorbells.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use punctual_proto::v1;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::front::{Front, PATIENCE, options};

/// A node that only takes publishes.
struct Node {
    address: SocketAddr,
    /// Runs whose doorbells came, in order.
    doorbells: mpsc::UnboundedReceiver<String>,
    _tasks: JoinSet<()>,
}

impl Node {
    async fn start(id: &'static str, acknowledges: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (say, doorbells) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let say = say.clone();
                connections.spawn(async move {
                    // The scheduler leaves at the end of the test.
                    let _left = serve(stream, id, acknowledges, say).await;
                });
            }
        });
        Self { address, doorbells, _tasks: tasks }
    }
}

async fn serve(
    stream: TcpStream,
    id: &str,
    acknowledges: bool,
    say: mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    let mut stream = BufStream::new(stream);
    let mut magic = [0; 4];
    stream.read_exact(&mut magic).await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let command = std::mem::take(&mut line);
        let answer = match command.trim_end().split(' ').next().unwrap_or_default() {
            "IDENTIFY" => {
                body(&mut stream).await?;
                format!("{{\"node_id\":\"{id}\"}}")
            }
            "PUB" => {
                hear(&body(&mut stream).await?, &say);
                "OK".to_owned()
            }
            "MPUB" => {
                let _bytes = stream.read_u32().await?;
                for _ in 0..stream.read_u32().await? {
                    hear(&body(&mut stream).await?, &say);
                }
                "OK".to_owned()
            }
            _ => continue,
        };
        if acknowledges || answer != "OK" {
            stream.write_u32(answer.len() as u32 + 4).await?;
            stream.write_u32(0).await?;
            stream.write_all(answer.as_bytes()).await?;
            stream.flush().await?;
        }
    }
    Ok(())
}

async fn body(stream: &mut BufStream<TcpStream>) -> std::io::Result<Vec<u8>> {
    let bytes = stream.read_u32().await?;
    let mut body = vec![0; bytes as usize];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

fn hear(doorbell: &[u8], say: &mpsc::UnboundedSender<String>) {
    // The test may have ended.
    let _ = say.send(v1::Doorbell::from_json(doorbell).unwrap().run_id);
}

async fn create_runs(front: &Front, many: usize) -> HashSet<String> {
    let mut ids = HashSet::new();
    for _ in 0..many {
        let request = v1::CreateRunRequest {
            task: Some(v1::create_run_request::Task::Kind("any".to_owned())),
            ..Default::default()
        };
        ids.insert(front.runs().create_run(request).await.unwrap().into_inner().id);
    }
    ids
}

/// How long it took until every one of them was announced by the node.
async fn announced(node: &mut Node, mut runs: HashSet<String>) -> Duration {
    let started = Instant::now();
    let all = async {
        while !runs.is_empty() {
            runs.remove(&node.doorbells.recv().await.expect("the node runs"));
        }
    };
    timeout(PATIENCE, all).await.expect("every doorbell goes out");
    started.elapsed()
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn doorbells_for_a_node_that_answers_nothing_go_to_another_within_seconds_and_later_ones_at_once(
    pool: PgPool,
) {
    let mut good = Node::start("good", true).await;
    let stuck = Node::start("stuck", false).await;
    let addresses = [&good, &stuck].map(|node| node.address.to_string()).to_vec();
    let mut options = options(&pool);
    options.queue_tcp_address = addresses;
    let front = Front::with(options).await;

    // Dealt out to both in turn, once both are found; fewer than a window has room for without workers.
    let mut first = HashSet::new();
    while stuck.doorbells.is_empty() && first.len() < 75 {
        first.extend(create_runs(&front, 1).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!stuck.doorbells.is_empty(), "the stuck node was never tried");
    let took = announced(&mut good, first).await;
    assert!(took < Duration::from_secs(3), "it took {took:?} to turn to the other node");

    let later = create_runs(&front, 20).await;
    let took = announced(&mut good, later).await;
    assert!(took < Duration::from_millis(900), "{took:?}: the stuck node is not passed over");
    front.stop().await;
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn runs_whose_doorbells_nobody_took_are_scheduled_again_by_a_clean_stop(pool: PgPool) {
    let mut stuck = Node::start("stuck", false).await;
    let mut options = options(&pool);
    options.queue_tcp_address = vec![stuck.address.to_string()];
    let front = Front::with(options).await;
    let runs = create_runs(&front, 10).await;
    announced(&mut stuck, runs).await;
    front.stop().await;
    let scheduled = "select count(*) from punctual.run_live where state = 'scheduled'";
    assert_eq!(sqlx::query_scalar::<_, i64>(scheduled).fetch_one(&pool).await.unwrap(), 10);
}
