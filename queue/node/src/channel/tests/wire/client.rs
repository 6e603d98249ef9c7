//! One end of a connection: what it sends and gets goes through the codec.

use bytes::BytesMut;
use punctual_queue_wire::command::{Command, CommandReader, ConnectionState, Limits, Standing};
use punctual_queue_wire::frame::{self, Frame};
use punctual_queue_wire::message::Message;

use crate::channel::{ConnectionId, Delivery};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: ConnectionId,
    standing: Standing,
    reader: CommandReader,
    input: BytesMut,
    sent: usize,
}

impl Client {
    pub(super) fn new(id: ConnectionId, state: ConnectionState) -> Self {
        let standing = Standing { state, heartbeats: true, lacks_tls: false };
        Self { id, standing, reader: CommandReader::default(), input: BytesMut::new(), sent: 0 }
    }

    /// What the node reads when this is sent, in two pieces that are cut elsewhere each time.
    pub(super) fn send(&mut self, command: &Command) -> Command {
        let mut bytes = BytesMut::new();
        command.encode(&mut bytes);
        self.sent += 1;
        let rest = bytes.split_off(self.sent * 7 % bytes.len());
        self.input.unsplit(bytes);
        assert_eq!(self.read(), None, "half of {command:?}");
        self.input.extend_from_slice(&rest);
        let read = self.read();
        assert_eq!(read.as_ref(), Some(command));
        assert!(self.input.is_empty());
        read.unwrap()
    }

    fn read(&mut self) -> Option<Command> {
        self.reader.next(&mut self.input, self.standing, &Limits::default()).unwrap()
    }

    /// What arrives of a delivery.
    pub(super) fn receive(&self, Delivery { message, attempts, .. }: &Delivery) -> Message {
        let (id, timestamp_ns) = (message.sequence.id(), message.timestamp_ns);
        let mut output = BytesMut::new();
        let head = frame::message_head(id, timestamp_ns, *attempts, message.body.len());
        output.extend_from_slice(&head);
        output.extend_from_slice(&message.body);
        match Frame::decode(&mut output, 1024).unwrap() {
            Some(Frame::Message(read)) => {
                assert_eq!((read.id, read.timestamp_ns, &read.body), (id, timestamp_ns, &message.body));
                read
            }
            other => panic!("{other:?}"),
        }
    }
}
