//! One connection to any server of the NSQ protocol, as bare as can be, so that the load costs little.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{bail, ensure};

/// Room for what arrives at a time.
const INPUT_BYTES: usize = 256 * 1024;
/// A server that is silent for so long has lost something.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of a message in front of its body: timestamp, attempts and id.
const MESSAGE_HEAD: usize = 26;

/// A connection.
pub(crate) struct Link {
    stream: TcpStream,
    input: Vec<u8>,
    /// What has arrived and was not taken yet.
    from: usize,
    to: usize,
}

/// What a server sends.
pub(crate) enum Arrival<'a> {
    /// `OK` and the like.
    Answer,
    /// A message's id, as FIN wants it, and its body.
    Message { id: &'a [u8], body: &'a [u8] },
}

impl Link {
    /// Connects and asks for few heartbeats: servers refuse consumers that want none.
    pub(crate) fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut link = Self { stream, input: vec![0; INPUT_BYTES], from: 0, to: 0 };
        let identify = br#"{"client_id":"bench","heartbeat_interval":60000}"#;
        let length = u32::try_from(identify.len())?.to_be_bytes();
        link.send(&[b"  V2IDENTIFY\n", &length[..], identify].concat())?;
        link.answers(1)?;
        Ok(link)
    }

    /// Consumes a channel, `ready` messages at a time.
    pub(crate) fn subscribe(address: &str, topic: &str, channel: &str, ready: usize) -> anyhow::Result<Self> {
        let mut link = Self::open(address)?;
        link.send(format!("SUB {topic} {channel}\n").as_bytes())?;
        link.answers(1)?;
        link.send(format!("RDY {ready}\n").as_bytes())?;
        Ok(link)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// A second handle, to send while another thread receives.
    pub(crate) fn sender(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// How long [`receive`](Self::receive) waits before it fails with `WouldBlock`.
    pub(crate) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))
    }

    /// Waits for something to arrive, then hands over all that has; says how much that was.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(Arrival<'_>)) -> anyhow::Result<usize> {
        let mut taken = 0;
        while taken == 0 {
            self.fill()?;
            while let Some((frame, next)) = self.frame()? {
                match arrival(frame)? {
                    Some(arrival) => {
                        take(arrival);
                        taken += 1;
                    }
                    None => self.stream.write_all(b"NOP\n")?,
                }
                self.from = next;
            }
        }
        Ok(taken)
    }

    /// Waits for at least one answer, at most `limit`; how many came.
    pub(crate) fn answers(&mut self, limit: usize) -> anyhow::Result<usize> {
        let came = self.receive(|_| {})?;
        ensure!(came <= limit, "{came} answers to {limit} commands");
        Ok(came)
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        self.input.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        if self.to == self.input.len() {
            self.input.resize(self.to * 2, 0);
        }
        let came = self.stream.read(&mut self.input[self.to..])?;
        ensure!(came > 0, "the server closed the connection");
        self.to += came;
        Ok(())
    }

    /// The next whole frame, without its length, and where the one after it begins.
    fn frame(&self) -> anyhow::Result<Option<(&[u8], usize)>> {
        let waiting = &self.input[self.from..self.to];
        let Some((length, rest)) = waiting.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        Ok(rest.get(..length).map(|frame| (frame, self.from + 4 + length)))
    }
}

/// `None` for a heartbeat.
fn arrival(frame: &[u8]) -> anyhow::Result<Option<Arrival<'_>>> {
    match frame.split_first_chunk::<4>() {
        Some(([0, 0, 0, 0], b"_heartbeat_")) => Ok(None),
        Some(([0, 0, 0, 0], _)) => Ok(Some(Arrival::Answer)),
        Some(([0, 0, 0, 2], message)) if message.len() >= MESSAGE_HEAD => {
            Ok(Some(Arrival::Message { id: &message[10..MESSAGE_HEAD], body: &message[MESSAGE_HEAD..] }))
        }
        _ => bail!("the server says {}", String::from_utf8_lossy(frame)),
    }
}

/// A PUB of one body, an MPUB of several.
pub(crate) fn publish(topic: &str, body: &[u8], batch: usize) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let framed = [&length(body.len())[..], body].concat();
    if batch == 1 {
        return [format!("PUB {topic}\n").as_bytes(), &framed].concat();
    }
    let bodies = framed.repeat(batch);
    let head = format!("MPUB {topic}\n");
    [head.as_bytes(), &length(4 + bodies.len()), &length(batch), &bodies].concat()
}
