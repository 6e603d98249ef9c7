//! Messages over HTTP.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Router, body};
use punctual_queue_tools::nsq_to_http::NsqToHttp;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::servers::{PATIENCE, RealNode};
use crate::tool::{Tool, flags};

const CHANNEL: &str = "nsq_to_http";

mod https;

/// What a request asked for.
#[derive(Debug)]
struct Received {
    method: String,
    path: String,
    body: Bytes,
    headers: Vec<String>,
}

/// Answers with one status after another, then with the last of them again and again, as soon as it is let to.
struct Server {
    address: String,
    received: mpsc::UnboundedReceiver<Received>,
    permits: Arc<Semaphore>,
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
struct Answers {
    statuses: Arc<Mutex<Vec<u16>>>,
    received: mpsc::UnboundedSender<Received>,
    permits: Arc<Semaphore>,
}

async fn answer(State(answers): State<Answers>, request: Request) -> StatusCode {
    let (head, content) = request.into_parts();
    let headers =
        head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    let received = Received {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        body: body::to_bytes(content, usize::MAX).await.unwrap(),
        headers,
    };
    answers.received.send(received).unwrap();
    answers.permits.acquire().await.unwrap().forget();
    let mut statuses = answers.statuses.lock().unwrap();
    let status = if statuses.len() > 1 { statuses.remove(0) } else { statuses[0] };
    StatusCode::from_u16(status).unwrap()
}

impl Server {
    async fn answering(statuses: &[u16]) -> anyhow::Result<Self> {
        let server = Self::waiting(statuses).await?;
        server.permits.add_permits(10_000);
        Ok(server)
    }

    /// Answers only as often as it is given permits.
    async fn waiting(statuses: &[u16]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (sender, received) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(0));
        let statuses = Arc::new(Mutex::new(statuses.to_vec()));
        let answers = Answers { statuses, received: sender, permits: permits.clone() };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            axum::serve(listener, Router::new().fallback(answer).with_state(answers)).await.unwrap();
        });
        Ok(Self { address, received, permits, _tasks: tasks })
    }

    async fn next(&mut self) -> anyhow::Result<Received> {
        Ok(timeout(PATIENCE, self.received.recv()).await?.expect("the server runs"))
    }

    /// How many requests have come.
    fn count(&mut self) -> usize {
        std::iter::from_fn(|| self.received.try_recv().ok()).count()
    }
}

/// The tool, quick to try again what failed.
fn start(node: &RealNode, words: &[&str]) -> anyhow::Result<Tool> {
    let flag = node.flag();
    let quick = [
        flag.as_str(),
        "-topic=t",
        "-consumer-opt=default_requeue_delay,1ms",
        "-consumer-opt=backoff_multiplier,1ms",
    ];
    let tool: NsqToHttp = flags(&[&quick[..], words].concat())?;
    Ok(Tool::start(|stop| tool.run(stop)))
}

#[tokio::test]
async fn a_message_is_the_body_of_a_post() -> anyhow::Result<()> {
    let (node, mut server) = (RealNode::start().await?, Server::answering(&[202]).await?);
    let post = format!("-post=http://{}/in?x=%%s", server.address);
    let tool = start(&node, &[&post, "-header", "X-Key: a:b", "-content-type", "text/plain"])?;
    node.publish("t", &["a body"]).await?;
    let received = server.next().await?;
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/in?x=%%s"));
    assert_eq!(received.body, "a body");
    for header in ["x-key: a:b", "content-type: text/plain"] {
        assert!(received.headers.iter().any(|found| found == header), "{:?}", received.headers);
    }
    node.wait_finished("t", CHANNEL, 1).await?;
    tool.stop().await
}

#[tokio::test]
async fn a_message_is_part_of_the_address_of_a_get() -> anyhow::Result<()> {
    let (node, mut server) = (RealNode::start().await?, Server::answering(&[204, 200]).await?);
    let tool = start(&node, &[&format!("-get=http://{}/in?d=%s", server.address)])?;
    node.publish("t", &["a b&c=\u{e9}"]).await?;
    let received = server.next().await?;
    assert_eq!((received.method.as_str(), received.path.as_str()), ("GET", "/in?d=a+b%26c%3D%C3%A9"));
    // Only 200 is a success, so it comes again.
    assert_eq!(server.next().await?.path, received.path);
    node.wait_finished("t", CHANNEL, 1).await?;
    tool.stop().await
}

#[tokio::test]
async fn a_message_that_is_not_taken_comes_again_until_it_is() -> anyhow::Result<()> {
    let (node, mut server) = (RealNode::start().await?, Server::answering(&[500, 404, 500, 200]).await?);
    let tool = start(&node, &[&format!("-post=http://{}/", server.address)])?;
    node.publish("t", &["stubborn"]).await?;
    for _ in 0..4 {
        assert_eq!(server.next().await?.body, "stubborn");
    }
    node.wait_finished("t", CHANNEL, 1).await?;
    assert_eq!(server.count(), 0);
    tool.stop().await
}

#[tokio::test]
async fn a_message_is_given_up_after_as_many_attempts_as_are_asked_for() -> anyhow::Result<()> {
    let (node, mut server) = (RealNode::start().await?, Server::answering(&[500]).await?);
    let post = format!("-post=http://{}/", server.address);
    let tool = start(&node, &[&post, "-consumer-opt=max_attempts,2"])?;
    node.publish("t", &["hopeless"]).await?;
    node.wait_finished("t", CHANNEL, 1).await?;
    assert_eq!(server.count(), 2);
    tool.stop().await
}

#[tokio::test]
async fn an_address_that_is_away_loses_nothing_and_the_others_go_on() -> anyhow::Result<()> {
    let (node, mut server) = (RealNode::start().await?, Server::answering(&[200]).await?);
    let (away, here) = ("-post=http://127.0.0.1:1/", format!("-post=http://{}/", server.address));
    let tool = start(&node, &[away, &here])?;
    node.publish("t", &["1", "2", "3", "4", "5"]).await?;
    node.wait_finished("t", CHANNEL, 5).await?;
    assert_eq!(server.count(), 5);
    tool.stop().await
}

#[tokio::test]
async fn several_addresses_take_turns_or_all_get_each_message() -> anyhow::Result<()> {
    for (mode, expect) in [("round-robin", 5), ("hostpool", 5), ("multicast", 10)] {
        let (node, mut one, mut two) =
            (RealNode::start().await?, Server::answering(&[200]).await?, Server::answering(&[200]).await?);
        let posts = [&one, &two].map(|server| format!("-post=http://{}/", server.address));
        let tool = start(&node, &[&posts[0], &posts[1], "-mode", mode])?;
        node.publish("t", &["m"; 10]).await?;
        node.wait_finished("t", CHANNEL, 10).await?;
        assert_eq!((one.count(), two.count()), (expect, expect), "{mode}");
        tool.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_in_the_sample_is_finished_without_a_request() -> anyhow::Result<()> {
    let (node, mut server) = (RealNode::start().await?, Server::answering(&[200]).await?);
    let tool = start(&node, &[&format!("-post=http://{}/", server.address), "-sample=0"])?;
    node.publish("t", &["m"; 50]).await?;
    node.wait_finished("t", CHANNEL, 50).await?;
    assert_eq!(server.count(), 0);
    tool.stop().await
}

#[tokio::test]
async fn no_more_requests_are_under_way_at_once_than_allowed() -> anyhow::Result<()> {
    let (node, mut server) = (RealNode::start().await?, Server::waiting(&[200]).await?);
    let tool = start(&node, &[&format!("-post=http://{}/", server.address), "-n=2"])?;
    node.publish("t", &["m"; 6]).await?;
    for finished in 0..3 {
        // Two come, and none after them until they are answered.
        server.next().await?;
        server.next().await?;
        assert_eq!((server.count(), node.finished("t", CHANNEL).await?), (0, 2 * finished));
        server.permits.add_permits(2);
        node.wait_finished("t", CHANNEL, 2 * finished + 2).await?;
    }
    tool.stop().await
}

#[tokio::test]
async fn stopping_waits_for_what_is_under_way_and_gives_back_the_rest() -> anyhow::Result<()> {
    let (node, mut server) = (RealNode::start().await?, Server::waiting(&[200]).await?);
    let mut tool = start(&node, &[&format!("-post=http://{}/", server.address), "-n=1"])?;
    node.publish("t", &["m"; 3]).await?;
    server.next().await?;
    tool.ask_to_stop();
    assert!(tool.is_running());
    server.permits.add_permits(10);
    tool.ended().await??;
    node.wait_finished("t", CHANNEL, 1).await?;
    assert_eq!(server.count(), 0);
    Ok(())
}

#[tokio::test]
async fn flags_that_contradict_each_other_are_refused() -> anyhow::Result<()> {
    for (words, expect) in [
        (&["-topic=t"][..], "--nsqd-tcp-address or --lookupd-http-address required"),
        (&["-nsqd-tcp-address=n:1"], "--topic required"),
        (&["-nsqd-tcp-address=n:1", "-topic=t"], "--get or --post required"),
        (
            &["-nsqd-tcp-address=n:1", "-topic=t", "-get=http://h/%s", "-post=http://h/"],
            "use --get or --post not both",
        ),
        (
            &["-nsqd-tcp-address=n:1", "-topic=t", "-post=http://h/", "-sample=1.5"],
            "--sample must be between 0.0 and 1.0",
        ),
        (
            &["-nsqd-tcp-address=n:1", "-topic=t", "-post=http://h/", "-mode=fastest"],
            "there is no mode \"fastest\": it is round-robin, hostpool or epsilon-greedy",
        ),
        (
            &["-nsqd-tcp-address=n:1", "-topic=t", "-get=http://h/%s", "-content-type=a/b"],
            "--content-type only used with --post",
        ),
    ] {
        let tool: NsqToHttp = flags(words)?;
        let error = Tool::start(|stop| tool.run(stop)).ended().await?.unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    Ok(())
}
