//! Redis streams with an append-only file that is synced before each answer.

mod resp;

use std::io;
use std::net::TcpStream;
use std::process::Command;

use anyhow::{Context, bail, ensure};

use self::resp::{Value, command};
use super::kind::{program, version};
use super::peer::{Consumer, Peer, Publisher, Running};
use super::wire::Wire;
use crate::pinned::Pinned;

const GROUP: &str = "group";
/// Entries asked for at a time.
const ENTRIES: &str = "500";

/// A Redis.
pub(super) struct Redis(Running);

/// See [`Kind::settings`](super::kind::Kind::settings).
pub(super) fn settings() -> anyhow::Result<String> {
    let version = version(&program("redis-server")?, "--version")?;
    let short = version.split(" sha=").next().unwrap_or_default();
    Ok(format!(
        "{short}, appendonly yes, appendfsync always (fsync before the answer), save \"\", no rewriting; entries stay when \
         they are acknowledged"
    ))
}

impl Redis {
    pub(super) fn start() -> anyhow::Result<Self> {
        let running = Running::start("redis-server", |data, host, port| {
            let mut command = Command::new(program("redis-server")?);
            command.args(["--bind", host, "--port", port, "--dir"]).arg(data);
            command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
            command.args(["--auto-aof-rewrite-percentage", "0"]);
            Ok(command)
        })?;
        Ok(Self(running))
    }
}

impl Peer for Redis {
    fn process(&self) -> &Pinned {
        &self.0.process
    }

    fn disk(&self) -> anyhow::Result<u64> {
        self.0.disk()
    }

    fn make(&self, topic: &str) -> anyhow::Result<()> {
        let create = command(&[b"XGROUP", b"CREATE", topic.as_bytes(), GROUP.as_bytes(), b"$", b"MKSTREAM"]);
        let answer = Wire::connect(&self.0.address)?.ask(&create, resp::length)?;
        ensure!(answer.starts_with(b"+OK"), "Redis says {}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    fn publisher(&self, topic: &str) -> anyhow::Result<Box<dyn Publisher>> {
        Ok(Box::new(Publishing { wire: Wire::connect(&self.0.address)?, topic: topic.to_owned() }))
    }

    fn consumer(&self, topic: &str) -> anyhow::Result<Box<dyn Consumer>> {
        let wire = Wire::connect(&self.0.address)?;
        wire.be_impatient()?;
        // Each connection is a consumer of its own; the port that it has tells them apart.
        let consumer = wire.sender()?.local_addr()?.port().to_string();
        let words: [&[u8]; 11] = [
            b"XREADGROUP",
            b"GROUP",
            GROUP.as_bytes(),
            consumer.as_bytes(),
            b"COUNT",
            ENTRIES.as_bytes(),
            b"BLOCK",
            b"0",
            b"STREAMS",
            topic.as_bytes(),
            b">",
        ];
        let mut consuming = Consuming { wire, topic: topic.to_owned(), read: command(&words) };
        consuming.wire.send(&consuming.read)?;
        Ok(Box::new(consuming))
    }
}

struct Publishing {
    wire: Wire,
    topic: String,
}

impl Publisher for Publishing {
    fn publish(&self, body: &[u8], batch: usize, output: &mut Vec<u8>) {
        let add = command(&[b"XADD", self.topic.as_bytes(), b"*", b"b", body]);
        for _ in 0..batch {
            output.extend_from_slice(&add);
        }
    }

    fn acknowledged(&mut self, _batch: usize) -> anyhow::Result<usize> {
        let came = self.wire.items(|input| {
            let Some((value, bytes)) = resp::value(input)? else { return Ok(None) };
            ensure!(matches!(value, Value::Text(_)), "Redis says {value:?}");
            Ok(Some(bytes))
        })?;
        ensure!(came > 0, "Redis is silent");
        Ok(came)
    }

    fn sender(&self) -> io::Result<TcpStream> {
        self.wire.sender()
    }
}

/// Entries are always asked for.
struct Consuming {
    wire: Wire,
    topic: String,
    read: Vec<u8>,
}

impl Consumer for Consuming {
    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> anyhow::Result<usize> {
        let (mut ids, mut messages) = (Vec::new(), 0);
        self.wire.items(|input| {
            let Some((value, bytes)) = resp::value(input)? else { return Ok(None) };
            match value {
                Value::Number => {} // how many entries XACK has acknowledged
                Value::List(streams) => {
                    messages += each_entry(&streams, |id, body| {
                        ids.push(id.to_vec());
                        take(body);
                    })
                    .context("Redis sends no entries")?;
                }
                other => bail!("Redis says {other:?}"),
            }
            Ok(Some(bytes))
        })?;
        if messages > 0 {
            let head: [&[u8]; 3] = [b"XACK", self.topic.as_bytes(), GROUP.as_bytes()];
            let words: Vec<&[u8]> = head.into_iter().chain(ids.iter().map(Vec::as_slice)).collect();
            self.wire.send(&[command(&words), self.read.clone()].concat())?;
        }
        Ok(messages)
    }
}

/// Entries of `[[stream, [[id, [field, body]], …]]]`; how many they are, `None` for anything else.
fn each_entry(streams: &[Value<'_>], mut take: impl FnMut(&[u8], &[u8])) -> Option<usize> {
    let [Value::List(stream)] = streams else { return None };
    let [_, Value::List(entries)] = &stream[..] else { return None };
    for entry in entries {
        let Value::List(entry) = entry else { return None };
        let [Value::Text(id), Value::List(fields)] = &entry[..] else { return None };
        let [_, Value::Text(body)] = &fields[..] else { return None };
        take(id, body);
    }
    Some(entries.len())
}
