//! From the dial to the point where a connection can be used: IDENTIFY, then TLS, then compression, then AUTH.

use bytes::BytesMut;
use punctual_queue_wire::{
    command::Command,
    compress::Compression,
    error::ErrorCode,
    frame::{MAGIC_V2, OK},
    identify::IdentifyAnswer,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    CommandWriter, Connection, ConnectionError, ConnectionOptions, FrameReader, ProtocolViolation, halves,
};
use crate::{address::NodeAddress, tls::ClientTls};

/// Dials, says who is there, and does what was then agreed on.
pub(super) async fn negotiate(
    node: &NodeAddress,
    options: &ConnectionOptions,
) -> Result<Connection, ConnectionError> {
    let dial_error = |source| ConnectionError::Dial { node: node.clone(), source };
    let stream = TcpStream::connect(node.tcp()).await.map_err(dial_error)?;
    stream.set_nodelay(true).map_err(dial_error)?;
    let mut connection = over(node, halves::plain(stream), options);

    let mut hello = BytesMut::from(&MAGIC_V2[..]);
    Command::Identify(options.request().to_json().into()).encode(&mut hello);
    connection.commands.write(&hello).await?;
    let answer = match connection.frames.response().await? {
        // A node that does not know of negotiation has nothing to negotiate.
        plain if plain == OK => IdentifyAnswer::default(),
        // An array would be read as an answer that says nothing.
        json => IdentifyAnswer::from_json(&json)
            .filter(|_| json.starts_with(b"{"))
            .ok_or_else(|| connection.frames.violation(ProtocolViolation::NotNegotiated))?,
    };
    let compression = agreed(options.transport.compression, &answer)
        .filter(|_| options.transport.tls.is_some() || !answer.tls_v1)
        .ok_or_else(|| connection.frames.violation(ProtocolViolation::Unasked))?;

    if let Some(tls) = &options.transport.tls {
        if !answer.tls_v1 {
            return Err(ConnectionError::TlsNotOffered { node: node.clone() });
        }
        connection = start_tls(node, connection, tls, options).await?;
        connection.frames.upgraded().await.map_err(ConnectionError::before_tls_is_confirmed)?;
    }
    if let Some(compression) = compression {
        let received = std::mem::take(&mut connection.frames.input);
        connection.frames.reader.start_unpacking(compression, received);
        connection.commands.writer.start_packing(compression);
        connection.frames.upgraded().await?;
    }
    if answer.auth_required {
        authenticate(node, &mut connection, options).await?;
    }
    connection.answer = answer;
    Ok(connection)
}

fn over(
    node: &NodeAddress,
    (reader, writer): (halves::Reader, halves::Writer),
    options: &ConnectionOptions,
) -> Connection {
    let deadline = options.deadline();
    Connection {
        frames: FrameReader { node: node.clone(), reader, input: BytesMut::new(), deadline },
        commands: CommandWriter { node: node.clone(), writer, deadline },
        answer: IdentifyAnswer::default(),
    }
}

async fn start_tls(
    node: &NodeAddress,
    Connection { frames, commands, .. }: Connection,
    tls: &ClientTls,
    options: &ConnectionOptions,
) -> Result<Connection, ConnectionError> {
    // What came in the clear must not count as said under TLS.
    if !frames.input.is_empty() {
        return Err(frames.violation(ProtocolViolation::BytesBeforeTls));
    }
    let name = tls.name_of(node).map_err(|source| ConnectionError::TlsName { node: node.clone(), source })?;
    let stream = halves::into_plain(frames.reader, commands.writer)
        .expect("both halves are of the connection that was just dialled");
    let handshake = TlsConnector::from(tls.config()).connect(name, stream).await;
    let stream = handshake.map_err(|error| ConnectionError::of_tls(node, error))?;
    Ok(over(node, halves::tls(stream), options))
}

/// The compression that was asked for, if the node goes along; `None` when it starts another, which could not be
/// understood.
fn agreed(asked: Option<Compression>, answer: &IdentifyAnswer) -> Option<Option<Compression>> {
    match (answer.snappy, answer.deflate, asked) {
        (false, false, _) => Some(None),
        (true, false, Some(Compression::Snappy)) => Some(asked),
        (false, true, Some(Compression::Deflate { level })) => {
            // A node caps the level; what was asked for is the most that this side is ready to work for.
            Some(Some(Compression::Deflate { level: level.min(answer.deflate_level.max(1)) }))
        }
        _ => None,
    }
}

async fn authenticate(
    node: &NodeAddress,
    connection: &mut Connection,
    options: &ConnectionOptions,
) -> Result<(), ConnectionError> {
    let secret = options.transport.secret.as_ref();
    let secret = secret.ok_or_else(|| ConnectionError::SecretMissing { node: node.clone() })?;
    let mut auth = BytesMut::new();
    Command::Auth(secret.as_bytes().to_vec().into()).encode(&mut auth);
    connection.commands.write(&auth).await?;
    // JSON that says who this client is taken for; that it is a response says that it is let in.
    match connection.frames.response().await {
        Ok(_who) => Ok(()),
        Err(ConnectionError::Refused { node, code, text }) if is_about_secrets(&code) => {
            Err(ConnectionError::SecretRefused { node, code, text })
        }
        Err(other) => Err(other),
    }
}

/// A node may refuse AUTH for other reasons, such as the lack of TLS.
fn is_about_secrets(code: &str) -> bool {
    [ErrorCode::AuthFailed, ErrorCode::AuthError, ErrorCode::Unauthorized]
        .iter()
        .any(|about| about.as_str() == code)
}

impl FrameReader {
    /// The `OK` that follows an upgrade, in the new layer.
    async fn upgraded(&mut self) -> Result<(), ConnectionError> {
        let answer = self.response().await?;
        if answer == OK { Ok(()) } else { Err(self.violation(ProtocolViolation::NotUpgraded)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_what_was_asked_for_and_granted() {
        let none = IdentifyAnswer::default();
        let snappy = IdentifyAnswer { snappy: true, ..none.clone() };
        let deflate = IdentifyAnswer { deflate: true, deflate_level: 3, ..none.clone() };
        let both = IdentifyAnswer { snappy: true, ..deflate.clone() };
        let level = |level| Some(Compression::Deflate { level });
        for (asked, answer, expected) in [
            (None, &none, Some(None)),
            (None, &snappy, None),
            (Some(Compression::Snappy), &none, Some(None)),
            (Some(Compression::Snappy), &deflate, None),
            (Some(Compression::Snappy), &both, None),
            (Some(Compression::Snappy), &snappy, Some(Some(Compression::Snappy))),
            (level(6), &snappy, None),
            (level(6), &deflate, Some(level(3))),
            (level(1), &deflate, Some(level(1))),
        ] {
            assert_eq!(agreed(asked, answer), expected, "{asked:?} {answer:?}");
        }
    }
}
