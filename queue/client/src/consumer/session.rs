//! One connection of a consumer, from the dial to its end.

use std::{sync::Arc, time::Duration};

use punctual_queue_wire::{
    command::Command,
    error::ErrorCode,
    frame::{CLOSE_WAIT, Frame, HEARTBEAT},
    message::Message,
    name::{ChannelName, TopicName},
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::interval,
};
use tracing::{debug, info, warn};

use super::{
    Delivery, Stages,
    command_queue::CommandQueue,
    roster::{Place, Roster},
};
use crate::{
    address::NodeAddress,
    connection::{CommandWriter, Connection, ConnectionError, ConnectionOptions, FrameReader},
};

/// What every connection of a consumer needs.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) topic: TopicName,
    pub(super) channel: ChannelName,
    pub(super) connection: ConnectionOptions,
    pub(super) roster: Arc<Roster>,
    pub(super) deliveries: mpsc::Sender<Delivery>,
    pub(super) stages: Stages,
}

impl Session {
    /// Connects, subscribes and delivers, until the connection ends.
    pub(super) async fn run(&self, node: &NodeAddress) -> Result<(), ConnectionError> {
        let opened = tokio::select! {
            opened = self.subscribe(node) => opened?,
            () = self.stages.stopping.cancelled() => return Ok(()),
        };
        let queue = Arc::new(CommandQueue::new(node.clone(), opened.answer()));
        let Connection { frames, commands, .. } = opened;
        let place = self.roster.join(queue.clone());
        info!(node.address = %node, topic = %self.topic, channel = %self.channel, "subscribed");
        tokio::select! {
            end = self.read(frames, &place, &queue) => end,
            end = self.write(commands, &queue) => end,
        }
    }

    async fn subscribe(&self, node: &NodeAddress) -> Result<Connection, ConnectionError> {
        let mut connection = Connection::open(node, &self.connection).await?;
        let mut subscribe = bytes::BytesMut::new();
        Command::Sub { topic: self.topic.clone(), channel: self.channel.clone() }.encode(&mut subscribe);
        connection.commands.write(&subscribe).await?;
        connection.frames.response().await?;
        Ok(connection)
    }

    async fn read(
        &self,
        mut frames: FrameReader,
        place: &Place,
        queue: &CommandQueue,
    ) -> Result<(), ConnectionError> {
        loop {
            match frames.next().await {
                Ok(Frame::Message(message)) => self.deliver(message, place, queue).await,
                Ok(Frame::Response(data)) if data == HEARTBEAT => queue.push(&Command::Nop),
                Ok(Frame::Response(data)) if data == CLOSE_WAIT => place.leave(),
                Ok(Frame::Response(data)) => {
                    debug!(node.address = %queue.node(), ?data, "unexpected answer")
                }
                Ok(Frame::Error { code, text }) if is_survived(&code) => {
                    // Too late: the message is, or will be, delivered again.
                    warn!(node.address = %queue.node(), code, text, "a queue node did not take an answer");
                }
                Ok(Frame::Error { code, text }) => return Err(frames.refused(&code, &text)),
                // The node's reaction to our own closing.
                Err(ConnectionError::Closed { .. }) if self.stages.ending.is_cancelled() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands a message to the consumer's user. While that one is behind, nothing more is read, but the connection is
    /// kept alive: its node would otherwise give the messages in hand to another.
    async fn deliver(&self, message: Message, place: &Place, queue: &CommandQueue) {
        let delivery = Delivery::new(message, place.hold());
        let delivery = match self.deliveries.try_send(delivery) {
            // Once the consumer is gone, so is the connection, and the node delivers the message to another.
            Ok(()) | Err(TrySendError::Closed(_)) => return,
            Err(TrySendError::Full(delivery)) => delivery,
        };
        let mut alive = interval(self.connection.heartbeat_interval.max(Duration::from_millis(1)));
        loop {
            tokio::select! {
                room = self.deliveries.reserve() => {
                    if let Ok(room) = room {
                        room.send(delivery);
                    }
                    return;
                }
                _ = alive.tick() => queue.push(&Command::Nop),
            }
        }
    }

    async fn write(&self, mut commands: CommandWriter, queue: &CommandQueue) -> Result<(), ConnectionError> {
        let mut asked_to_close = false;
        loop {
            tokio::select! {
                () = queue.filled() => {}
                () = self.stages.stopping.cancelled(), if !asked_to_close => {
                    asked_to_close = true;
                    queue.push(&Command::Cls);
                }
                () = self.stages.ending.cancelled() => break,
            }
            let bytes = queue.take();
            if !bytes.is_empty() {
                commands.write(&bytes).await?;
            }
        }
        queue.close();
        commands.write(&queue.take()).await?;
        commands.shutdown().await?;
        // Closing with unread frames would reset the connection, and the node could lose what was just written. So
        // the reader goes on until the node closes too.
        std::future::pending().await
    }
}

/// Whether the connection survives an error with this code.
fn is_survived(code: &str) -> bool {
    [ErrorCode::FinFailed, ErrorCode::ReqFailed, ErrorCode::TouchFailed]
        .iter()
        .any(|survived| survived.as_str() == code)
}
