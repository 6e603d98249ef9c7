//! Publishing to one node.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use punctual_queue_wire::{bodies::SIZE_BYTES, command::Command, name::TopicName};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{
    address::NodeAddress,
    connection::{Connection, ConnectionError, ConnectionOptions},
    identity::NodeIdentity,
};

mod pipeline;

use pipeline::{Pipeline, Request};

/// Bytes in front of an MPUB's messages: how many there are.
const COUNT_BYTES: usize = 4;

/// How to publish.
#[derive(Debug, Clone)]
pub struct ProducerOptions {
    /// How to connect.
    pub connection: ConnectionOptions,
    /// From the call of `publish` to its outcome.
    pub publish_timeout: Duration,
    /// Publishes that may wait for their answers at once; more wait for these.
    pub max_in_flight: usize,
    /// Bytes of one message; the node's limit, 1 MiB on a stock nsqd.
    pub max_message_bytes: usize,
    /// Bytes of one MPUB's body; the node's limit, 5 MiB on a stock nsqd. More is sent as several.
    pub max_body_bytes: usize,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            connection: ConnectionOptions::default(),
            publish_timeout: Duration::from_secs(5),
            max_in_flight: 1_024,
            max_message_bytes: 1024 * 1024,
            max_body_bytes: 5 * 1024 * 1024,
        }
    }
}

/// What became of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a publish that is not acknowledged may be lost"]
pub enum PublishOutcome {
    /// The node has every message.
    Acknowledged,
    /// The node has none of them, and says why. Only a stock nsqd's `E_MPUB_FAILED` leaves it the first few of
    /// several.
    Refused {
        /// NSQ's error code.
        code: String,
        /// NSQ's description.
        text: String,
    },
    /// Not a byte of it was written: the node has none of the messages.
    NotSent(NotSent),
    /// The node may have all, some, or none of them.
    Unknown(UnknownReason),
}

/// Why nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// There is no connection to the node.
    #[error("the node is not connected")]
    NotConnected,
    /// The earlier publishes took too long.
    #[error("the publish timed out before it was its turn")]
    TimedOut,
    /// NSQ has no empty messages.
    #[error("a message is empty")]
    EmptyMessage,
    /// A message is above [`ProducerOptions::max_message_bytes`].
    #[error("a message has {bytes} bytes, more than the limit")]
    MessageTooBig {
        /// Its size.
        bytes: usize,
    },
}

/// Why it is not known what the node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownReason {
    /// The connection ended before the answer came.
    #[error("the connection ended before the answer")]
    ConnectionLost,
    /// The answer did not come in time.
    #[error("the answer did not come in time")]
    TimedOut,
    /// The messages did not fit one MPUB, and not all of them were acknowledged.
    #[error("only some of the messages were acknowledged")]
    Partly,
}

/// A connection that publishes. Many publishes can be under way at once; they reach the node in the order they were
/// called in. Dropping it closes the connection; what is under way is then unknown.
///
/// A lost connection is not restored: every later publish is [`NotSent::NotConnected`].
#[derive(Debug)]
pub struct Producer {
    node: NodeAddress,
    identity: Option<NodeIdentity>,
    options: ProducerOptions,
    permits: Arc<Semaphore>,
    requests: mpsc::Sender<Request>,
    ended: watch::Receiver<Option<Arc<ConnectionError>>>,
    /// Holds the loop that reads and writes, so that it ends with this.
    _tasks: JoinSet<()>,
}

impl Producer {
    /// Connects to a node.
    ///
    /// # Errors
    /// See [`Connection::open`].
    pub async fn connect(node: &NodeAddress, options: ProducerOptions) -> Result<Self, ConnectionError> {
        let connection = Connection::open(node, &options.connection).await?;
        let identity = connection.identity();
        // As many as there are permits, so that a request with a permit never waits for room.
        let (requests, queue) = mpsc::channel(options.max_in_flight.max(1));
        let (ended_sender, ended) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let end = Pipeline::default().run(connection, queue).await;
            ended_sender.send_replace(Some(Arc::new(end)));
        });
        let permits = Arc::new(Semaphore::new(options.max_in_flight.max(1)));
        Ok(Self { node: node.clone(), identity, options, permits, requests, ended, _tasks: tasks })
    }

    /// The node published to.
    pub fn node(&self) -> &NodeAddress {
        &self.node
    }

    /// Who the node says it is; `None` for a stock nsqd.
    pub fn identity(&self) -> Option<&NodeIdentity> {
        self.identity.as_ref()
    }

    /// Whether the connection has not ended.
    pub fn is_connected(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Waits until the connection has ended, and says why.
    pub async fn ended(&self) -> Option<Arc<ConnectionError>> {
        let mut ended = self.ended.clone();
        // Only fails when the loop is gone, which is an end too.
        ended.wait_for(Option::is_some).await.ok().and_then(|end| end.clone())
    }

    /// Publishes messages to a topic: one as PUB, several as MPUB, which the node takes all or none of, unless they
    /// exceed [`ProducerOptions::max_body_bytes`]. No messages at all are acknowledged at once.
    ///
    /// Dropping the call does not take back what is written.
    pub async fn publish(&self, topic: &TopicName, bodies: Vec<Bytes>) -> PublishOutcome {
        if let Some(problem) = bodies.iter().find_map(|body| self.problem(body)) {
            return PublishOutcome::NotSent(problem);
        }
        let mut commands = self.commands(topic, bodies);
        match (commands.pop(), commands.is_empty()) {
            (None, _) => PublishOutcome::Acknowledged,
            (Some(only), true) => self.request(only).await,
            (Some(last), false) => {
                commands.push(last);
                combine(&join_all(commands.into_iter().map(|command| self.request(command))).await)
            }
        }
    }

    /// Publishes a message to be delivered after `delay`, which nodes bound, to one hour by default. A stock nsqd
    /// forgets the delay when it restarts.
    pub async fn publish_deferred(&self, topic: &TopicName, delay: Duration, body: Bytes) -> PublishOutcome {
        if let Some(problem) = self.problem(&body) {
            return PublishOutcome::NotSent(problem);
        }
        self.request(Command::Dpub { topic: topic.clone(), delay, body }).await
    }

    /// What the node would end the connection for.
    fn problem(&self, body: &Bytes) -> Option<NotSent> {
        match body.len() {
            0 => Some(NotSent::EmptyMessage),
            bytes if bytes > self.options.max_message_bytes => Some(NotSent::MessageTooBig { bytes }),
            _ => None,
        }
    }

    fn commands(&self, topic: &TopicName, bodies: Vec<Bytes>) -> Vec<Command> {
        let mut commands = Vec::with_capacity(1);
        let mut part = Vec::with_capacity(bodies.len());
        let mut part_bytes = COUNT_BYTES;
        for body in bodies {
            let body_bytes = SIZE_BYTES + body.len();
            if part_bytes + body_bytes > self.options.max_body_bytes && !part.is_empty() {
                commands.push(command(topic, std::mem::take(&mut part)));
                part_bytes = COUNT_BYTES;
            }
            part_bytes += body_bytes;
            part.push(body);
        }
        if !part.is_empty() {
            commands.push(command(topic, part));
        }
        commands
    }

    async fn request(&self, command: Command) -> PublishOutcome {
        let (request, mut answer) = Request::new(command);
        let exchange = async {
            let permit = self.permits.clone().acquire_owned().await.map_err(|_| ())?;
            self.requests.send(request.with(permit)).await.map_err(|_| ())?;
            answer.outcome().await.map_err(|_| ())
        };
        match timeout(self.options.publish_timeout, exchange).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(())) if answer.take_back() => PublishOutcome::NotSent(NotSent::NotConnected),
            Ok(Err(())) => PublishOutcome::Unknown(UnknownReason::ConnectionLost),
            Err(_) if answer.take_back() => PublishOutcome::NotSent(NotSent::TimedOut),
            Err(_) => PublishOutcome::Unknown(UnknownReason::TimedOut),
        }
    }
}

fn command(topic: &TopicName, mut bodies: Vec<Bytes>) -> Command {
    let topic = topic.clone();
    match bodies.pop() {
        Some(body) if bodies.is_empty() => Command::Pub { topic, body },
        last => {
            bodies.extend(last);
            Command::Mpub { topic, bodies: bodies.iter().collect() }
        }
    }
}

/// The outcome of several publishes as one.
fn combine(outcomes: &[PublishOutcome]) -> PublishOutcome {
    match outcomes {
        [] => PublishOutcome::Acknowledged,
        [first, rest @ ..] if rest.iter().all(|outcome| outcome == first) => first.clone(),
        _ => PublishOutcome::Unknown(UnknownReason::Partly),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_publishes_are_acknowledged_only_when_all_are() {
        let refused = PublishOutcome::Refused { code: "E_MPUB_FAILED".to_owned(), text: "full".to_owned() };
        let (yes, partly) = (PublishOutcome::Acknowledged, PublishOutcome::Unknown(UnknownReason::Partly));
        assert_eq!(combine(&[yes.clone(), yes.clone()]), yes);
        assert_eq!(combine(&[refused.clone(), refused.clone()]), refused);
        assert_eq!(combine(&[yes.clone(), refused]), partly);
        assert_eq!(combine(&[yes, PublishOutcome::NotSent(NotSent::TimedOut)]), partly);
    }
}
