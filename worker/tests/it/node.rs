//! A queue node that says what it is told to and writes down what it hears.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(10);

/// One consumer's node. From the first ready count above 0 it delivers, whatever the ready count.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    heard: mpsc::UnboundedReceiver<String>,
    say: mpsc::UnboundedSender<Vec<u8>>,
    messages: u64,
    _tasks: JoinSet<()>,
}

impl Node {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (hear, heard) = mpsc::unbounded_channel();
        let (say, to_say) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, hear, to_say).await;
        });
        Self { address, heard, say, messages: 0, _tasks: tasks }
    }

    /// Delivers a message, and returns its id.
    pub(crate) fn deliver(&mut self, body: &[u8]) -> String {
        self.messages += 1;
        let id = format!("{:016x}", self.messages);
        let mut message = 1_700_000_000_000_000_000_i64.to_be_bytes().to_vec();
        message.extend(1_u16.to_be_bytes());
        message.extend(id.bytes());
        message.extend(body);
        self.say.send(frame(2, &message)).unwrap();
        id
    }

    /// Delivers the doorbell of a run, first dispatch, of the kind `work`.
    pub(crate) fn ring(&mut self, run: &str) -> String {
        self.ring_dispatch(run, 1)
    }

    pub(crate) fn ring_dispatch(&mut self, run: &str, dispatch: u32) -> String {
        let body = serde_json::json!({ "runId": run, "dispatch": dispatch, "job": "j", "kind": "work" });
        self.deliver(body.to_string().as_bytes())
    }

    /// The next command of the consumer, without its line feed; the greeting is left out.
    pub(crate) async fn next(&mut self) -> String {
        let heard = tokio::time::timeout(LIMIT, self.heard.recv()).await;
        heard.expect("the worker says something").expect("the worker is connected")
    }

    /// Commands up to the first that begins with `prefix`, which is the last.
    pub(crate) async fn until(&mut self, prefix: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let wait = tokio::time::timeout(LIMIT, self.heard.recv()).await;
            let Ok(Some(command)) = wait else { panic!("no {prefix:?} after {heard:?}") };
            heard.push(command);
            if heard.last().is_some_and(|last| last.starts_with(prefix)) {
                return heard;
            }
        }
    }
}

fn frame(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut frame = (data.len() as u32 + 4).to_be_bytes().to_vec();
    frame.extend(kind.to_be_bytes());
    frame.extend(data);
    frame
}

async fn serve(
    stream: TcpStream,
    hear: mpsc::UnboundedSender<String>,
    mut to_say: mpsc::UnboundedReceiver<Vec<u8>>,
) {
    stream.set_nodelay(true).unwrap();
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut magic = [0; 4];
    read.read_exact(&mut magic).await.unwrap();
    assert_eq!(&magic, b"  V2");
    let (answer, mut answers) = mpsc::unbounded_channel();
    let (ready, is_ready) = watch::channel(false);
    tokio::select! {
        () = listen(read, hear, answer, ready) => {}
        () = speak(&mut write, &mut to_say, &mut answers, is_ready) => {}
    }
}

async fn listen(
    mut read: BufReader<OwnedReadHalf>,
    hear: mpsc::UnboundedSender<String>,
    answer: mpsc::UnboundedSender<Vec<u8>>,
    ready: watch::Sender<bool>,
) {
    let mut line = String::new();
    while matches!(read.read_line(&mut line).await, Ok(1..)) {
        let command = std::mem::take(&mut line).trim_end().to_owned();
        match command.split(' ').next().unwrap_or_default() {
            "IDENTIFY" => {
                let length = read.read_u32().await.unwrap();
                let mut body = vec![0; length as usize];
                read.read_exact(&mut body).await.unwrap();
                answer.send(frame(0, b"{}")).unwrap();
            }
            "SUB" => {
                answer.send(frame(0, b"OK")).unwrap();
                let _ = hear.send(command);
            }
            "CLS" => {
                answer.send(frame(0, b"CLOSE_WAIT")).unwrap();
                let _ = hear.send(command);
            }
            "NOP" => {}
            _ => {
                ready.send_if_modified(|ready| {
                    let asks = command.starts_with("RDY ") && command != "RDY 0";
                    asks && !std::mem::replace(ready, true)
                });
                let _ = hear.send(command);
            }
        }
    }
}

async fn speak(
    write: &mut OwnedWriteHalf,
    to_say: &mut mpsc::UnboundedReceiver<Vec<u8>>,
    answers: &mut mpsc::UnboundedReceiver<Vec<u8>>,
    mut ready: watch::Receiver<bool>,
) {
    let mut heartbeats = tokio::time::interval(Duration::from_secs(2));
    loop {
        let bytes = tokio::select! {
            Some(bytes) = answers.recv() => bytes,
            Some(bytes) = to_say.recv(), if *ready.borrow() => bytes,
            Ok(()) = ready.changed() => continue,
            _ = heartbeats.tick() => frame(0, b"_heartbeat_"),
        };
        if write.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
