//! One statement over Postgres's socket. Not every source of binaries brings `psql`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// No message that we ask for comes near this size.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// How long Postgres may keep silent.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a statement was not run.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Postgres refused it.
    #[error("{message} (SQLSTATE {code})")]
    Refused {
        /// The five characters of SQL's error codes.
        code: String,
        /// What Postgres said.
        message: String,
    },
    /// Postgres asked for a password, or answered in a way we do not know.
    #[error("unexpected answer from Postgres: {0}")]
    Unexpected(&'static str),
    /// The connection failed.
    #[error("the connection to Postgres failed")]
    Io(#[from] io::Error),
}

/// A connection over a unix socket that trusts us.
#[derive(Debug)]
pub(crate) struct Session {
    stream: UnixStream,
}

impl Session {
    /// Connects to `socket` as `user`.
    pub(crate) fn connect(socket: &Path, user: &str, database: &str) -> Result<Self, SessionError> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut session = Self { stream };
        session.send(None, &startup(user, database))?;
        session.until_ready()?;
        Ok(session)
    }

    /// Runs one statement and drops its rows.
    pub(crate) fn execute(&mut self, statement: &str) -> Result<(), SessionError> {
        self.send(Some(b'Q'), &[statement.as_bytes(), b"\0"].concat())?;
        self.until_ready()
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> Result<(), SessionError> {
        let length = u32::try_from(body.len() + 4)
            .map_err(|_| SessionError::Unexpected("a message too long to send"))?;
        let mut message = Vec::with_capacity(body.len() + 5);
        message.extend(kind);
        message.extend(length.to_be_bytes());
        message.extend(body);
        Ok(self.stream.write_all(&message)?)
    }

    /// Reads up to Postgres's next `ReadyForQuery`; the first error on the way is the result.
    fn until_ready(&mut self) -> Result<(), SessionError> {
        let mut outcome = Ok(());
        loop {
            match self.receive() {
                Ok((b'Z', _)) => return outcome,
                Ok((b'E', body)) => outcome = outcome.and(Err(refusal(&body))),
                Ok((b'R', body)) if body.get(..4) != Some(&[0; 4]) => {
                    return Err(SessionError::Unexpected("it asks for a password"));
                }
                Ok(_) => {} // parameters, notices, rows, completion
                // A refused start-up ends with the connection rather than with `ReadyForQuery`.
                Err(error) => return outcome.and(Err(error)),
            }
        }
    }

    fn receive(&mut self) -> Result<(u8, Vec<u8>), SessionError> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if !(4..=MAX_MESSAGE_BYTES).contains(&length) {
            return Err(SessionError::Unexpected("a message of impossible length"));
        }
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

/// Protocol 3.0, then names and values, then a zero.
fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for text in ["user", user, "database", database, ""] {
        body.extend(text.as_bytes());
        body.push(0);
    }
    body
}

/// An error is a list of fields, each a letter and a text that ends with a zero.
fn refusal(body: &[u8]) -> SessionError {
    let field = |letter: u8| {
        let found = body.split(|&byte| byte == 0).find(|field| field.first() == Some(&letter));
        found.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
    };
    SessionError::Refused { code: field(b'C'), message: field(b'M') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_its_code_and_message() {
        let error = refusal(b"SERROR\0VERROR\0C42P04\0Mdatabase \"a\" already exists\0Fdbcommands.c\0\0");
        assert_eq!(error.to_string(), "database \"a\" already exists (SQLSTATE 42P04)");
    }

    #[test]
    fn a_start_up_names_user_and_database() {
        assert_eq!(startup("u", "d"), b"\0\x03\0\0user\0u\0database\0d\0\0");
    }

    proptest::proptest! {
        #[test]
        fn no_error_message_breaks_the_reader(body: Vec<u8>) {
            refusal(&body).to_string();
        }
    }
}
