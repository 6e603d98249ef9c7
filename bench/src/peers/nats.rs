//! NATS JetStream with its file store. It acknowledges what it has handed to the system and syncs later, unless its
//! version knows `sync_interval: always`.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{bail, ensure};

use super::kind::{program, version};
use super::peer::{Consumer, Peer, Publisher, Running};
use super::wire::{Wire, number, text_line};
use crate::machine;
use crate::pinned::Pinned;
use crate::queue::consume::READY;

/// Nothing comes back while it is measured.
const ACK_WAIT_NS: u64 = 3600 * 1_000_000_000;

/// A nats-server with JetStream.
pub(super) struct Nats(Running);

/// See [`Kind::settings`](super::kind::Kind::settings).
pub(super) fn settings() -> anyhow::Result<String> {
    let version = version(&program("nats-server")?, "--version")?;
    let durable = if knows_sync_always()? {
        "sync_interval: always: fsync before each acknowledgement"
    } else {
        "this version knows no sync_interval: always. NOT DURABLE: it acknowledges before it syncs, which it does every \
         minute or two"
    };
    Ok(format!("{version}, file store, a push consumer with {} unacknowledged; {durable}", 2 * READY))
}

impl Nats {
    pub(super) fn start() -> anyhow::Result<Self> {
        let syncs = knows_sync_always()?;
        let running = Running::start("nats-server", |data, host, port| {
            let path = data.join("server.conf");
            fs::write(&path, configuration(&data.join("store"), Some((host, port)), syncs))?;
            let mut command = Command::new(program("nats-server")?);
            command.arg("-c").arg(path);
            Ok(command)
        })?;
        Ok(Self(running))
    }
}

fn configuration(store: &Path, listen: Option<(&str, &str)>, syncs: bool) -> String {
    let listen = listen.map(|(host, port)| format!("listen: \"{host}:{port}\"\n")).unwrap_or_default();
    let sync = if syncs { "sync_interval: always" } else { "" };
    format!("{listen}jetstream {{\n  store_dir: \"{}\"\n  {sync}\n}}\n", store.display())
}

/// Older versions refuse a configuration that says so.
fn knows_sync_always() -> anyhow::Result<bool> {
    let dir = tempfile::Builder::new().prefix("nats-server-").tempdir_in(machine::scratch()?)?;
    let path = dir.path().join("server.conf");
    fs::write(&path, configuration(dir.path(), None, true))?;
    let tested = Command::new(program("nats-server")?).arg("-t").arg("-c").arg(path).output()?;
    Ok(tested.status.success())
}

impl Peer for Nats {
    fn process(&self) -> &Pinned {
        &self.0.process
    }

    fn disk(&self) -> anyhow::Result<u64> {
        self.0.disk()
    }

    fn make(&self, topic: &str) -> anyhow::Result<()> {
        let mut link = Link::open(&self.0.address)?;
        let stream = format!(r#"{{"name":"{topic}","subjects":["{topic}"],"storage":"file"}}"#);
        link.request(&format!("$JS.API.STREAM.CREATE.{topic}"), &stream)?;
        let consumer = format!(
            r#"{{"stream_name":"{topic}","config":{{"durable_name":"group","deliver_subject":"{}","deliver_group":"group",
            "deliver_policy":"all","replay_policy":"instant","ack_policy":"explicit","ack_wait":{ACK_WAIT_NS},
            "max_ack_pending":{}}}}}"#,
            delivery(topic),
            2 * READY
        );
        link.request(&format!("$JS.API.CONSUMER.DURABLE.CREATE.{topic}.group"), &consumer)
    }

    fn publisher(&self, topic: &str) -> anyhow::Result<Box<dyn Publisher>> {
        let mut link = Link::open(&self.0.address)?;
        link.subscribe_inbox()?;
        Ok(Box::new(Publishing { link, topic: topic.to_owned() }))
    }

    fn consumer(&self, topic: &str) -> anyhow::Result<Box<dyn Consumer>> {
        let mut link = Link::open(&self.0.address)?;
        link.wire.be_impatient()?;
        link.wire.send(format!("SUB {} group 2\r\n", delivery(topic)).as_bytes())?;
        Ok(Box::new(Consuming { link, output: Vec::new() }))
    }
}

/// The subject on which a topic's messages are pushed.
fn delivery(topic: &str) -> String {
    format!("deliver.{topic}")
}

/// A connection.
struct Link {
    wire: Wire,
    /// The subject of answers to this connection.
    inbox: String,
}

impl Link {
    fn open(address: &str) -> anyhow::Result<Self> {
        static INBOXES: AtomicUsize = AtomicUsize::new(0);
        let mut wire = Wire::connect(address)?;
        let hello = br#"CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"0"}"#;
        wire.send(&[hello, "\r\nPING\r\n".as_bytes()].concat())?;
        let mut welcome = false;
        while !welcome {
            let came = wire.items(|input| {
                let Some((line, bytes)) = text_line(input) else { return Ok(None) };
                ensure!(line.starts_with("INFO ") || line == "PONG", "NATS says {line}");
                welcome |= line == "PONG";
                Ok(Some(bytes))
            })?;
            ensure!(came > 0, "NATS is silent");
        }
        Ok(Self { wire, inbox: format!("_INBOX.{}", INBOXES.fetch_add(1, Ordering::Relaxed)) })
    }

    fn subscribe_inbox(&mut self) -> io::Result<()> {
        self.wire.send(format!("SUB {} 1\r\n", self.inbox).as_bytes())
    }

    /// Asks JetStream for something that it must not refuse.
    fn request(&mut self, subject: &str, body: &str) -> anyhow::Result<()> {
        self.subscribe_inbox()?;
        let command = format!("PUB {subject} {} {}\r\n{body}\r\n", self.inbox, body.len());
        self.wire.send(command.as_bytes())?;
        ensure!(self.acknowledgements()? == 1, "no answer to a request to {subject}");
        Ok(())
    }

    fn acknowledgements(&mut self) -> anyhow::Result<usize> {
        let mut count = 0;
        while count == 0 {
            let came = self.receive(|_, body| {
                let refused = body.windows(7).any(|seven| seven == br#""error""#);
                ensure!(!refused, "NATS says {}", String::from_utf8_lossy(body));
                count += 1;
                Ok(())
            })?;
            ensure!(came, "NATS is silent");
        }
        Ok(count)
    }

    /// Hands over the messages that arrive with their reply subjects; whether anything arrived.
    fn receive(&mut self, mut take: impl FnMut(&str, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<bool> {
        let mut pinged = false;
        let came = self.wire.items(|input| {
            let Some((line, head)) = text_line(input) else { return Ok(None) };
            let mut words = line.split(' ');
            match words.next() {
                Some("MSG") => {}
                Some("PING") => {
                    pinged = true;
                    return Ok(Some(head));
                }
                Some("INFO") => return Ok(Some(head)),
                _ => bail!("NATS says {line}"),
            }
            // MSG subject sid [reply] bytes
            let (reply, bytes) = match (words.nth(2), words.next()) {
                (Some(reply), Some(bytes)) => (reply, Some(bytes)),
                (bytes, _) => ("", bytes),
            };
            let end = head + number(bytes)?;
            if input.len() < end + 2 {
                return Ok(None);
            }
            take(reply, &input[head..end])?;
            Ok(Some(end + 2))
        })?;
        if pinged {
            self.wire.send(b"PONG\r\n")?;
        }
        Ok(came > 0)
    }
}

struct Publishing {
    link: Link,
    topic: String,
}

impl Publisher for Publishing {
    fn publish(&self, body: &[u8], batch: usize, output: &mut Vec<u8>) {
        let head = format!("PUB {} {} {}\r\n", self.topic, self.link.inbox, body.len());
        for _ in 0..batch {
            output.extend_from_slice(head.as_bytes());
            output.extend_from_slice(body);
            output.extend_from_slice(b"\r\n");
        }
    }

    fn acknowledged(&mut self, _batch: usize) -> anyhow::Result<usize> {
        self.link.acknowledgements()
    }

    fn sender(&self) -> io::Result<TcpStream> {
        self.link.wire.sender()
    }
}

struct Consuming {
    link: Link,
    output: Vec<u8>,
}

impl Consumer for Consuming {
    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> anyhow::Result<usize> {
        let (output, mut messages) = (&mut self.output, 0);
        output.clear();
        self.link.receive(|reply, body| {
            take(body);
            messages += 1;
            // An empty message to the reply subject acknowledges.
            output.extend_from_slice(b"PUB ");
            output.extend_from_slice(reply.as_bytes());
            output.extend_from_slice(b" 0\r\n\r\n");
            Ok(())
        })?;
        self.link.wire.send(&self.output)?;
        Ok(messages)
    }
}
