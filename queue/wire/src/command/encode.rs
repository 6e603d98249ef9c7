//! Writing commands, for clients.

use bytes::{BufMut, BytesMut};

use super::{Command, CommandName};
use crate::bodies::Bodies;
use crate::frame::wire_size;

impl Command {
    /// Appends the command as it stands on the wire.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(self.name().as_str().as_bytes());
        match self {
            Self::Identify(body) | Self::Auth(body) => {
                out.put_u8(b'\n');
                put_body(body, out);
            }
            Self::Sub { topic, channel } => put_line(&[topic.as_str(), channel.as_str()], out),
            Self::Pub { topic, body } => {
                put_line(&[topic.as_str()], out);
                put_body(body, out);
            }
            Self::Mpub { topic, bodies } => {
                put_line(&[topic.as_str()], out);
                put_bodies(bodies, out);
            }
            Self::Dpub { topic, delay, body } => {
                put_line(&[topic.as_str(), &delay.as_millis().to_string()], out);
                put_body(body, out);
            }
            Self::Rdy(count) => put_line(&[&count.to_string()], out),
            Self::Fin(id) | Self::Touch(id) => {
                out.put_u8(b' ');
                out.put_slice(&id.0);
                out.put_u8(b'\n');
            }
            Self::Req { id, delay } => {
                out.put_u8(b' ');
                out.put_slice(&id.0);
                put_line(&[&delay.as_millis().to_string()], out);
            }
            Self::Cls | Self::Nop => out.put_u8(b'\n'),
        }
    }

    /// Whether a node answers it with exactly one response or error frame. FIN, REQ, TOUCH, RDY and NOP are
    /// answered only when they fail.
    pub fn is_answered(&self) -> bool {
        match self.name() {
            CommandName::Identify
            | CommandName::Auth
            | CommandName::Sub
            | CommandName::Pub
            | CommandName::Mpub
            | CommandName::Dpub
            | CommandName::Cls => true,
            CommandName::Rdy
            | CommandName::Fin
            | CommandName::Req
            | CommandName::Touch
            | CommandName::Nop => false,
        }
    }
}

fn put_line(parameters: &[&str], out: &mut BytesMut) {
    for parameter in parameters {
        out.put_u8(b' ');
        out.put_slice(parameter.as_bytes());
    }
    out.put_u8(b'\n');
}

fn put_body(body: &[u8], out: &mut BytesMut) {
    out.put_i32(wire_size(body.len()));
    out.put_slice(body);
}

fn put_bodies(bodies: &Bodies, out: &mut BytesMut) {
    let total = 4 + bodies.packed().len();
    out.reserve(4 + total);
    out.put_i32(wire_size(total));
    out.put_i32(wire_size(bodies.len()));
    out.put_slice(bodies.packed());
}
