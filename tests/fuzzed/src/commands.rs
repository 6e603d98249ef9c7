//! What a client sends to a node.

use bytes::BytesMut;
use punctual_queue_wire::command::{Command, CommandReader, ConnectionState, Limits, Standing};
use punctual_queue_wire::error::ProtocolError;

use crate::meter::within;
use crate::pieces::read_all;

/// The first byte says how the connection stands and how the rest arrives.
///
/// # Panics
/// When commands depend on how they arrive, are not those that were read once they are written again, or take more
/// memory than a small multiple of the input.
pub fn run(data: &[u8]) {
    let Some((control, input)) = data.split_first() else { return };
    let standing = Standing {
        state: match control & 3 {
            0 | 1 => ConnectionState::Connected,
            2 => ConnectionState::Subscribed,
            _ => ConnectionState::Closing,
        },
        heartbeats: control & 4 == 0,
        lacks_tls: control & 8 != 0,
    };
    let size = usize::from(control >> 4) * 37 + 1;
    let whole = within(memory_for(input), || read(input, standing, input.len()));
    let in_pieces = within(memory_for(input), || read(input, standing, size));
    assert_eq!(whole, in_pieces, "as a whole, and in pieces of {size}");
    for command in whole.0.into_iter().filter(can_be_written) {
        let mut written = BytesMut::new();
        command.encode(&mut written);
        assert_eq!(read(&written, standing, written.len()).0, [command]);
    }
}

/// One carriage return before the end of a line is no part of it, so an id that ends with one needs something after it.
/// No node makes such ids.
fn can_be_written(command: &Command) -> bool {
    let (Command::Fin(id) | Command::Touch(id)) = command else { return true };
    !id.0.ends_with(b"\r")
}

type Read = (Vec<Command>, Option<ProtocolError>, Option<ProtocolError>);

fn read(input: &[u8], standing: Standing, size: usize) -> Read {
    let (mut reader, limits) = (CommandReader::default(), Limits::default());
    let (commands, error) = read_all(input, size, |input| reader.next(input, standing, &limits));
    let at_end = reader.at_end().filter(|_| error.is_none());
    if let Some(answer) = error.as_ref().or(at_end.as_ref()).and_then(ProtocolError::answer) {
        assert!(answer.starts_with("E_"), "{answer}");
    }
    (commands, error, at_end)
}

/// A command is some hundred bytes, and takes four of input at least; names are quoted in errors.
fn memory_for(input: &[u8]) -> usize {
    64 * 1024 + 128 * input.len()
}
