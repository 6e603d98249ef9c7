//! Bearer tokens: secrets that let their holder in.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The fewest characters a token may have.
pub const MIN_TOKEN_CHARS: usize = 16;

/// A secret as its holder presents it. Its `Debug` hides it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes `secret` as a token; surrounding white space, as a file or a variable may have, is not part of it.
    ///
    /// # Errors
    /// When it is too short to be a secret, or has characters that cannot stand in a header.
    pub fn new(secret: &str) -> Result<Self, TokenError> {
        let secret = secret.trim();
        if secret.chars().count() < MIN_TOKEN_CHARS {
            return Err(TokenError::TooShort);
        }
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::NotPrintable);
        }
        Ok(Self(secret.to_owned()))
    }

    /// The secret itself, to be sent to the one it is for.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl std::str::FromStr for Token {
    type Err = TokenError;

    fn from_str(secret: &str) -> Result<Self, Self::Err> {
        Self::new(secret)
    }
}

/// Why a secret is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Too easy to guess.
    #[error("the token has fewer than {MIN_TOKEN_CHARS} characters")]
    TooShort,
    /// It could not be sent in a header.
    #[error("the token has characters other than printable ASCII without spaces")]
    NotPrintable,
}

/// The tokens a server accepts. Only their hashes are kept.
#[derive(Clone)]
pub struct TokenSet {
    hashes: Vec<[u8; 32]>,
}

impl TokenSet {
    /// Reads a file with one token per line; empty lines and lines that start with `#` are skipped. Several tokens
    /// let one be replaced without a moment in which neither works.
    ///
    /// # Errors
    /// When the file cannot be read, others than its owner may read it, it holds no token, or a line is no token.
    pub fn load(path: &Path) -> Result<Self, TokenFileError> {
        let failed = |source| TokenFileError::Read { path: path.to_owned(), source };
        let found = std::fs::metadata(path).map_err(failed)?;
        let mode = found.mode() & 0o777;
        if is_exposed(mode, found.gid()) {
            return Err(TokenFileError::Exposed { path: path.to_owned(), mode });
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(failed)?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, TokenFileError> {
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            tokens.push(Token::new(line).map_err(|source| TokenFileError::Line {
                path: path.to_owned(),
                line: index + 1,
                source,
            })?);
        }
        if tokens.is_empty() {
            return Err(TokenFileError::Empty { path: path.to_owned() });
        }
        Ok(Self::of(&tokens))
    }

    /// A set of the given tokens.
    pub fn of(tokens: &[Token]) -> Self {
        Self { hashes: tokens.iter().map(|token| hash(&token.0)).collect() }
    }

    /// Whether `presented` is one of the tokens. Takes the same time whichever it is, and if it is none.
    pub fn accepts(&self, presented: &str) -> bool {
        let presented = hash(presented);
        self.hashes.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&presented)).into()
    }
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet").field("tokens", &self.hashes.len()).finish()
    }
}

/// Whether others than the owner may read or write the file. Root's group may read: it reads anything anyway, and
/// systemd's credentials have that mode.
fn is_exposed(mode: u32, group: u32) -> bool {
    let allowed = if group == 0 { 0o740 } else { 0o700 };
    mode & !allowed != 0
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Why a token file was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It could not be read.
    #[error("could not read the token file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Users other than its owner may read or write it.
    #[error("the token file {} is open to other users (mode {mode:03o}): chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds no token, which would let nobody in, or everybody.
    #[error("the token file {} holds no token: put one of {MIN_TOKEN_CHARS} characters or more on a line", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line is no token.
    #[error("line {line} of the token file {} is no token", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: TokenError,
    },
}

#[cfg(test)]
mod tests;
