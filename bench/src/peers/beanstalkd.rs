//! beanstalkd, which syncs before it answers with `-f0`: a put and a delete are a sync each.

use std::io;
use std::net::TcpStream;
use std::process::Command;

use anyhow::{bail, ensure};

use super::kind::{program, version};
use super::peer::{Consumer, Peer, Publisher, Running};
use super::wire::{Wire, number, text_line};
use crate::pinned::Pinned;

/// Jobs are reserved one by one: so many commands wait ahead, that the server need not wait for the next.
const RESERVES_AHEAD: usize = 64;
/// Nothing comes back while it is measured.
const TIME_TO_RUN_SECONDS: usize = 3600;

/// A beanstalkd.
pub(super) struct Beanstalkd(Running);

/// See [`Kind::settings`](super::kind::Kind::settings).
pub(super) fn settings() -> anyhow::Result<String> {
    let version = version(&program("beanstalkd")?, "-v")?;
    Ok(format!("{version} -b DIR -f0: fsync at each put and each delete, before the answer"))
}

impl Beanstalkd {
    pub(super) fn start() -> anyhow::Result<Self> {
        let running = Running::start("beanstalkd", |data, host, port| {
            let mut command = Command::new(program("beanstalkd")?);
            command.args(["-l", host, "-p", port, "-f0", "-b"]).arg(data);
            Ok(command)
        })?;
        Ok(Self(running))
    }
}

impl Peer for Beanstalkd {
    fn process(&self) -> &Pinned {
        &self.0.process
    }

    fn disk(&self) -> anyhow::Result<u64> {
        self.0.disk()
    }

    /// Tubes come about by being used.
    fn make(&self, _topic: &str) -> anyhow::Result<()> {
        Ok(())
    }

    fn publisher(&self, topic: &str) -> anyhow::Result<Box<dyn Publisher>> {
        let mut wire = Wire::connect(&self.0.address)?;
        expect(&mut wire, &format!("use {topic}\r\n"), "USING ")?;
        Ok(Box::new(Publishing(wire)))
    }

    fn consumer(&self, topic: &str) -> anyhow::Result<Box<dyn Consumer>> {
        let mut wire = Wire::connect(&self.0.address)?;
        expect(&mut wire, &format!("watch {topic}\r\n"), "WATCHING ")?;
        expect(&mut wire, "ignore default\r\n", "WATCHING ")?;
        wire.be_impatient()?;
        wire.send(&b"reserve\r\n".repeat(RESERVES_AHEAD))?;
        Ok(Box::new(Consuming { wire, output: Vec::new() }))
    }
}

fn expect(wire: &mut Wire, command: &str, answer: &str) -> anyhow::Result<()> {
    let line = wire.ask(command.as_bytes(), |input| Ok(text_line(input).map(|(_, bytes)| bytes)))?;
    ensure!(line.starts_with(answer.as_bytes()), "beanstalkd says {}", String::from_utf8_lossy(&line));
    Ok(())
}

struct Publishing(Wire);

impl Publisher for Publishing {
    fn publish(&self, body: &[u8], batch: usize, output: &mut Vec<u8>) {
        let head = format!("put 0 0 {TIME_TO_RUN_SECONDS} {}\r\n", body.len());
        for _ in 0..batch {
            output.extend_from_slice(head.as_bytes());
            output.extend_from_slice(body);
            output.extend_from_slice(b"\r\n");
        }
    }

    fn acknowledged(&mut self, _batch: usize) -> anyhow::Result<usize> {
        let came = self.0.items(|input| {
            let Some((line, bytes)) = text_line(input) else { return Ok(None) };
            ensure!(line.starts_with("INSERTED "), "beanstalkd says {line}");
            Ok(Some(bytes))
        })?;
        ensure!(came > 0, "beanstalkd is silent");
        Ok(came)
    }

    fn sender(&self) -> io::Result<TcpStream> {
        self.0.sender()
    }
}

struct Consuming {
    wire: Wire,
    output: Vec<u8>,
}

impl Consumer for Consuming {
    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> anyhow::Result<usize> {
        let (output, mut messages) = (&mut self.output, 0);
        output.clear();
        self.wire.items(|input| {
            let Some((line, head)) = text_line(input) else { return Ok(None) };
            let mut words = line.split(' ');
            match words.next() {
                Some("DELETED") => return Ok(Some(head)),
                Some("RESERVED") => {}
                _ => bail!("beanstalkd says {line}"),
            }
            let id = words.next().unwrap_or_default();
            let end = head + number(words.next())?;
            let Some(body) = input.get(head..end) else { return Ok(None) };
            if input.len() < end + 2 {
                return Ok(None);
            }
            take(body);
            messages += 1;
            output.extend_from_slice(b"delete ");
            output.extend_from_slice(id.as_bytes());
            output.extend_from_slice(b"\r\nreserve\r\n");
            Ok(Some(end + 2))
        })?;
        self.wire.send(&self.output)?;
        Ok(messages)
    }
}
