//! A node on ports of its own, and a client that speaks raw bytes to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use punctual_queue_node::error::NodeError;
use punctual_queue_node::node::Node;
use punctual_queue_node::options::NodeOptions;
use punctual_queue_wire::compress::{Compression, Decoder, Encoder};
use punctual_queue_wire::frame::Frame;
use punctual_queue_wire::message::Message;
use punctual_service::socket::Address;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long to wait for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long to watch for what must not come.
pub(crate) const A_WHILE: Duration = Duration::from_millis(150);

pub(crate) struct Fixture {
    dir: Arc<TempDir>,
}

/// A node that runs.
pub(crate) struct Running {
    pub(crate) tcp: std::net::SocketAddr,
    pub(crate) http: std::net::SocketAddr,
    pub(crate) https: Option<std::net::SocketAddr>,
    pub(crate) node_id: uuid::Uuid,
    /// Stays as long as the node does.
    _dir: Arc<TempDir>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), NodeError>>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        punctual_service::tls::install_crypto_provider(); // HTTP clients want one, with TLS or without
        Self { dir: Arc::new(tempfile::tempdir().unwrap()) }
    }

    pub(crate) fn data_path(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn options(&self) -> NodeOptions {
        NodeOptions {
            tcp_address: ([127, 0, 0, 1], 0).into(),
            http_address: ([127, 0, 0, 1], 0).into(),
            data_path: self.data_path(),
            ..NodeOptions::default()
        }
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_with(self.options()).await
    }

    pub(crate) async fn start_with(&self, options: NodeOptions) -> Running {
        self.run(Node::open(options).await.unwrap())
    }

    #[expect(clippy::disallowed_methods, reason = "the test is the owner, and awaits or aborts it")]
    pub(crate) fn run(&self, node: Node) -> Running {
        // A test that gives it socket files dials those.
        let dialled = |address: &Address| address.tcp().unwrap_or(([127, 0, 0, 1], 1).into());
        let (tcp, http) =
            (dialled(node.tcp_address()), node.http_address().map_or(([127, 0, 0, 1], 1).into(), dialled));
        let node_id = node.node_id();
        let https = node.https_address();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(node.run(shutdown.clone()));
        Running { tcp, http, https, node_id, _dir: Arc::clone(&self.dir), shutdown, task }
    }

    /// One that runs in another process, which whoever started it ends.
    #[expect(clippy::disallowed_methods, reason = "there is nothing to await")]
    pub(crate) fn running_elsewhere(&self, tcp: std::net::SocketAddr, http: std::net::SocketAddr) -> Running {
        let (node_id, shutdown) = (uuid::Uuid::nil(), CancellationToken::new());
        let task = tokio::spawn(std::future::pending());
        Running { tcp, http, https: None, node_id, _dir: Arc::clone(&self.dir), shutdown, task }
    }
}

impl Running {
    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(self) -> Result<(), NodeError> {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }

    /// Waits for it to stop by itself.
    pub(crate) async fn ended(self) -> Result<(), NodeError> {
        timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }

    /// Drops everything where it stands: no checkpoint is written.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(timeout(PATIENCE, self.task).await.unwrap().unwrap_err().is_cancelled());
    }

    pub(crate) async fn connect(&self) -> Client {
        let mut client = self.dial().await;
        client.send(b"  V2").await;
        client
    }

    /// Without the magic.
    pub(crate) async fn dial(&self) -> Client {
        Self::client_on(TcpStream::connect(self.tcp).await.unwrap())
    }

    /// The same, where the system keeps hardly anything for a client that does not read.
    pub(crate) async fn connect_without_room(&self) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut client = Self::client_on(socket.connect(self.tcp).await.unwrap());
        client.send(b"  V2").await;
        client
    }

    fn client_on(stream: TcpStream) -> Client {
        // A client that closes with messages unread loses what its own system has not sent.
        stream.set_nodelay(true).unwrap();
        Client::on(stream)
    }

    /// A consumer with this RDY.
    pub(crate) async fn subscribe(&self, topic: &str, channel: &str, ready: u32) -> Client {
        let mut client = self.connect().await;
        client.send(format!("SUB {topic} {channel}\n").as_bytes()).await;
        client.expect_ok().await;
        client.send(format!("RDY {ready}\n").as_bytes()).await;
        client
    }

    pub(crate) async fn publish(&self, topic: &str, bodies: &[&str]) {
        let mut client = self.connect().await;
        for body in bodies {
            client.publish(topic, body.as_bytes()).await;
        }
        for _ in bodies {
            client.expect_ok().await;
        }
    }

    pub(crate) async fn post(&self, path: &str) -> (u16, String) {
        self.post_body(path, "").await
    }

    pub(crate) async fn post_body(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        let request = reqwest::Client::new().post(format!("http://{}{path}", self.http)).body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(format!("http://{}{path}", self.http)).await.unwrap()
    }

    /// The `/stats` of one channel.
    pub(crate) async fn channel_stats(&self, topic: &str, channel: &str) -> serde_json::Value {
        let path = format!("/stats?format=json&topic={topic}&channel={channel}");
        let stats: serde_json::Value = self.get(&path).await.json().await.unwrap();
        stats["topics"][0]["channels"][0].clone()
    }

    /// Waits until a channel's figure is as expected.
    pub(crate) async fn wait_for(&self, topic: &str, channel: &str, figure: &str, expected: u64) {
        let reached = async {
            while self.channel_stats(topic, channel).await[figure] != expected {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(PATIENCE, reached).await.is_err() {
            panic!("{figure} is not {expected}: {}", self.channel_stats(topic, channel).await);
        }
    }
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(crate) struct Client {
    stream: Box<dyn Stream>,
    input: BytesMut,
    packing: Option<Packing>,
}

struct Packing {
    encoder: Encoder,
    decoder: Decoder,
    received: BytesMut,
}

/// A PUB, as it is sent.
pub(crate) fn publish_command(topic: &str, body: &[u8]) -> Vec<u8> {
    let mut command = format!("PUB {topic}\n").into_bytes();
    command.extend((body.len() as u32).to_be_bytes());
    command.extend(body);
    command
}

impl Client {
    pub(crate) fn on(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), input: BytesMut::new(), packing: None }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        assert!(self.try_send(bytes).await, "the connection takes what is sent");
    }

    /// Says whether the connection took it.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        let mut packed = BytesMut::new();
        match &mut self.packing {
            Some(packing) => packing.encoder.encode(bytes, &mut packed),
            None => packed.extend_from_slice(bytes),
        }
        self.stream.write_all(&packed).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// IDENTIFY; what it is answered.
    pub(crate) async fn identify(&mut self, json: &serde_json::Value) -> Frame {
        let body = json.to_string();
        let mut command = b"IDENTIFY\n".to_vec();
        command.extend((body.len() as u32).to_be_bytes());
        command.extend(body.as_bytes());
        self.send(&command).await;
        self.next().await.unwrap()
    }

    /// IDENTIFY with a negotiation; the JSON that it is answered.
    pub(crate) async fn negotiate(&mut self, mut json: serde_json::Value) -> serde_json::Value {
        json["feature_negotiation"] = true.into();
        match self.identify(&json).await {
            Frame::Response(answer) => serde_json::from_slice(&answer).unwrap(),
            other => panic!("{other:?} instead of an answer to IDENTIFY"),
        }
    }

    /// Goes on in another stream made of this one's.
    pub(crate) async fn wrapped<S: Stream + 'static>(
        self,
        wrap: impl AsyncFnOnce(Box<dyn Stream>) -> std::io::Result<S>,
    ) -> std::io::Result<Self> {
        assert!(self.input.is_empty(), "nothing follows the answer that announces an upgrade");
        wrap(self.stream).await.map(Self::on)
    }

    /// Goes on compressed, with what came already.
    pub(crate) fn pack(&mut self, compression: Compression) {
        let received = std::mem::take(&mut self.input);
        let (encoder, decoder) = (Encoder::new(compression), Decoder::new(compression));
        self.packing = Some(Packing { encoder, decoder, received });
    }

    pub(crate) async fn publish(&mut self, topic: &str, body: &[u8]) {
        self.send(&publish_command(topic, body)).await;
    }

    pub(crate) async fn finish(&mut self, message: &Message) {
        self.send(format!("FIN {}\n", message.id).as_bytes()).await;
    }

    pub(crate) async fn requeue(&mut self, message: &Message, delay_ms: u64) {
        self.send(format!("REQ {} {delay_ms}\n", message.id).as_bytes()).await;
    }

    /// The next frame, or `None` when the node closed the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        timeout(PATIENCE, self.read()).await.expect("a frame or the end comes")
    }

    async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::decode(&mut self.input, 100 << 20).unwrap() {
                return Some(frame);
            }
            let Some(packing) = &mut self.packing else {
                if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                    return None;
                }
                continue;
            };
            let before = self.input.len();
            packing.decoder.decode(&mut packing.received, &mut self.input, 1 << 20).unwrap();
            if self.input.len() == before
                && self.stream.read_buf(&mut packing.received).await.unwrap_or(0) == 0
            {
                return None;
            }
        }
    }

    /// Reads what has come, whatever it is; 0 at the end.
    pub(crate) async fn next_bytes(&mut self) -> usize {
        self.input.clear();
        let read = self.stream.read_buf(&mut self.input);
        timeout(PATIENCE, read).await.expect("bytes or the end come").unwrap_or(0)
    }

    pub(crate) async fn expect_response(&mut self, expected: &str) {
        match self.next().await {
            Some(Frame::Response(data)) => assert_eq!(data.escape_ascii().to_string(), expected),
            other => panic!("{other:?} instead of {expected}"),
        }
    }

    pub(crate) async fn expect_ok(&mut self) {
        self.expect_response("OK").await;
    }

    pub(crate) async fn expect_error(&mut self, expected: &str) {
        match self.next().await {
            Some(Frame::Error { code, text }) => assert_eq!(format!("{code} {text}").trim_end(), expected),
            other => panic!("{other:?} instead of {expected}"),
        }
    }

    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.next().await, None);
    }

    pub(crate) async fn message(&mut self) -> Message {
        loop {
            match self.next().await {
                Some(Frame::Message(message)) => return message,
                Some(Frame::Response(data)) if data.chunk() == b"_heartbeat_" => {
                    self.send(b"NOP\n").await;
                }
                other => panic!("{other:?} instead of a message"),
            }
        }
    }

    /// The next message, which has this body.
    pub(crate) async fn expect_message(&mut self, body: &str) -> Message {
        let message = self.message().await;
        assert_eq!(message.body.escape_ascii().to_string(), body);
        message
    }

    /// Nothing comes for a while.
    pub(crate) async fn expect_silence(&mut self) {
        if let Ok(frame) = timeout(A_WHILE, self.read()).await {
            panic!("{frame:?} instead of silence");
        }
    }
}
