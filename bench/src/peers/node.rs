//! A queue node of this build, over the protocol of NSQ.

use std::io;
use std::net::TcpStream;

use super::peer::{Consumer, Peer, Publisher};
use super::wire::MOMENT;
use crate::pinned::Pinned;
use crate::queue::consume::{self, READY};
use crate::queue::link::{self, Arrival, Link};
use crate::queue::server::Server;

const CHANNEL: &str = "channel-0";

/// A node.
pub(super) struct Node(Server);

impl Node {
    pub(super) fn start() -> anyhow::Result<Self> {
        Ok(Self(Server::start()?))
    }
}

impl Peer for Node {
    fn process(&self) -> &Pinned {
        self.0.process().expect("it was started here")
    }

    fn disk(&self) -> anyhow::Result<u64> {
        Ok(self.0.disk().expect("it was started here"))
    }

    fn make(&self, topic: &str) -> anyhow::Result<()> {
        consume::make_channels(&self.0.address, topic, 1)
    }

    fn publisher(&self, topic: &str) -> anyhow::Result<Box<dyn Publisher>> {
        Ok(Box::new(Publishing { link: Link::open(&self.0.address)?, topic: topic.to_owned() }))
    }

    fn consumer(&self, topic: &str) -> anyhow::Result<Box<dyn Consumer>> {
        let link = Link::subscribe(&self.0.address, topic, CHANNEL, READY)?;
        link.set_patience(MOMENT)?;
        Ok(Box::new(Consuming { link, output: Vec::new() }))
    }
}

struct Publishing {
    link: Link,
    topic: String,
}

impl Publisher for Publishing {
    fn publish(&self, body: &[u8], batch: usize, output: &mut Vec<u8>) {
        output.extend(link::publish(&self.topic, body, batch));
    }

    fn acknowledged(&mut self, batch: usize) -> anyhow::Result<usize> {
        Ok(self.link.answers(usize::MAX)? * batch)
    }

    fn sender(&self) -> io::Result<TcpStream> {
        self.link.sender()
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
        let received = self.link.receive(|arrival| {
            if let Arrival::Message { id, body } = arrival {
                take(body);
                messages += 1;
                output.extend_from_slice(b"FIN ");
                output.extend_from_slice(id);
                output.push(b'\n');
            }
        });
        match received {
            Err(failure) if is_late(&failure) => return Ok(0),
            received => received?,
        };
        self.link.send(&self.output)?;
        Ok(messages)
    }
}

fn is_late(failure: &anyhow::Error) -> bool {
    failure.downcast_ref::<io::Error>().is_some_and(|failure| failure.kind() == io::ErrorKind::WouldBlock)
}
