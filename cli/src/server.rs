//! The schedulers a client command talks to.

mod refusal;
mod servers;
mod unreachable;
mod url;

use std::path::{Path, PathBuf};
use std::time::Duration;

use punctual_service::token::Token;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig};

use crate::failure::Failure;

pub(crate) use self::refusal::Refusal;
use self::servers::Shown;
pub(crate) use self::servers::{Link, Servers};
pub(crate) use self::unreachable::Unreachable;
use self::url::ServerUrl;

/// Which schedulers to ask, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// Scheduler to ask. Repeat it, or separate several by commas: the first that answers is kept
    #[arg(long, env = "PUNCTUAL_SERVER", global = true, value_name = "URL", value_delimiter = ',')]
    #[arg(default_value = "http://127.0.0.1:7700")]
    server: Vec<ServerUrl>,

    /// How long a call may take, all schedulers together
    #[arg(long, env = "PUNCTUAL_TIMEOUT", global = true, default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// Token to show to the scheduler
    #[arg(
        long,
        env = "PUNCTUAL_TOKEN",
        global = true,
        hide_env_values = true,
        conflicts_with = "token_file"
    )]
    token: Option<Token>,

    /// File whose first line is the token
    #[arg(long, env = "PUNCTUAL_TOKEN_FILE", global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Who you are, for the record of what was done to jobs
    #[arg(long, env = "PUNCTUAL_ACTOR", global = true, value_name = "NAME")]
    actor: Option<String>,

    /// Certificates to trust for https (PEM); the system's when not given
    #[arg(long, env = "PUNCTUAL_CA_CERT", global = true, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
}

impl ServerArgs {
    /// The schedulers, not yet connected to.
    ///
    /// # Errors
    /// When the token or the certificates cannot be read.
    pub(crate) fn open(self) -> Result<Servers, Failure> {
        let token = match (self.token, &self.token_file) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => Some(read_token(path)?),
            (None, None) => None,
        };
        let tls = match &self.ca_cert {
            Some(path) => {
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("--ca-cert", path)?))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let bearer = token.map(bearer).transpose()?;
        let actor = self.actor.map(actor).transpose()?;
        Servers::new(self.server, self.timeout, Shown { bearer, actor }, &tls)
    }
}

fn read_token(path: &Path) -> Result<Token, Failure> {
    let text = read("--token-file", path)?;
    // Written as the server's own token file is, of which a client uses the first.
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default();
    Token::new(line).map_err(|error| Failure::Usage(format!("{} (--token-file): {error}", path.display())))
}

fn read(flag: &str, path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read {} ({flag}): {error}", path.display())))
}

fn actor(name: String) -> Result<MetadataValue<Ascii>, Failure> {
    // Headers hold no other characters.
    name.parse().map_err(|_| Failure::Usage(format!("--actor: {name:?} has characters beyond ASCII")))
}

fn bearer(token: Token) -> Result<MetadataValue<Ascii>, Failure> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.reveal())
        .parse()
        .map_err(|_| Failure::Usage("the token cannot stand in a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
