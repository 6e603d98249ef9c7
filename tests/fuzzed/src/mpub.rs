//! The body of MPUB, which HTTP's `/mpub?binary=true` takes too.

use bytes::{Bytes, BytesMut};
use punctual_queue_wire::bodies::Bodies;
use punctual_queue_wire::command::{Command, CommandReader, Limits, Standing, mpub_bodies};
use punctual_queue_wire::error::{ErrorCode, ProtocolError};

use crate::meter::within;
use crate::pieces::read_all;

const LINE: &[u8] = b"MPUB t\n";

/// The first byte says how the rest arrives, which is a body with its size, and perhaps more.
///
/// # Panics
/// When the messages depend on how they arrive or whether over TCP or HTTP, break a limit, are not those that were read once they are written
/// again, or take more memory than a small multiple of the input.
pub fn run(data: &[u8]) {
    let Some((control, input)) = data.split_first() else { return };
    let limits = Limits { max_message_bytes: 2_000, max_body_bytes: 20_000, ..Limits::default() };
    let command: Vec<u8> = LINE.iter().chain(input).copied().collect();
    let memory = 16 * 1024 + 16 * command.len();
    let whole = within(memory, || first(&command, command.len(), &limits));
    let in_pieces = within(memory, || first(&command, usize::from(*control) + 1, &limits));
    assert_eq!(whole, in_pieces);
    check_over_http(input, whole.0.as_ref(), memory, &limits);
    if let (Some(Command::Mpub { topic, bodies }), _) = whole {
        assert_eq!(bodies.iter().map(|body| body.len()).sum::<usize>(), bodies.body_bytes());
        assert!(bodies.iter().all(|body| (1..=2_000).contains(&body.len())));
        assert!((1..=limits.max_mpub_messages() as usize).contains(&bodies.len()));
        assert!(4 + bodies.packed().len() <= 20_000);
        let mut written = BytesMut::new();
        Command::Mpub { topic, bodies: bodies.clone() }.encode(&mut written);
        let (again, _) = first(&written, written.len(), &limits);
        assert!(matches!(again, Some(Command::Mpub { bodies: again, .. }) if again == bodies));
    }
    let (count, rest) =
        input.split_first_chunk::<4>().map_or((0, input), |(count, rest)| (u32::from_be_bytes(*count), rest));
    let packed = Bytes::copy_from_slice(rest);
    if let Some(bodies) = within(memory, || Bodies::parse(packed, count)) {
        // A body may be empty here, but takes room all the same.
        assert_eq!(bodies.iter().count(), count as usize);
    }
}

/// HTTP has the same body without its size in front.
fn check_over_http(input: &[u8], over_tcp: Option<&Command>, memory: usize, limits: &Limits) {
    let Some((_, body)) = input.split_first_chunk::<4>() else { return };
    let shared = Bytes::copy_from_slice(body);
    match (over_tcp, within(memory, || mpub_bodies(shared, limits))) {
        (Some(Command::Mpub { bodies, .. }), over_http) => assert_eq!(over_http.as_ref(), Ok(bodies)),
        // Over TCP the size may have been refused, which is all that is known of it here.
        (_, Ok(bodies)) => assert!(4 + bodies.packed().len() <= 20_000),
        (_, Err(error)) => assert!(matches!(error.code(), Some(ErrorCode::BadBody | ErrorCode::BadMessage))),
    }
}

fn first(input: &[u8], size: usize, limits: &Limits) -> (Option<Command>, Option<ProtocolError>) {
    let mut reader = CommandReader::default();
    let (commands, error) = read_all(input, size, |input| match input.is_empty() {
        true => Ok(None),
        false => reader.next(input, Standing::default(), limits),
    });
    // What follows it is another command, and another target's business.
    let first = commands.into_iter().next();
    let error = error.filter(|_| first.is_none());
    (first, error)
}
