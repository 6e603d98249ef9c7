//! Flags of the node's TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use punctual_service::tls::TlsArgs;

/// TLS on the TCP interface, where clients ask for it, and an HTTPS interface beside the HTTP one.
#[derive(Debug, Clone, Args)]
pub struct NodeTlsOptions {
    /// Where the HTTP interface listens with TLS, if there is a certificate
    #[arg(long, env = "PUNCTUAL_QUEUE_HTTPS_ADDRESS", default_value = "127.0.0.1:4152")]
    pub https_address: SocketAddr,

    /// Certificate and key
    #[command(flatten)]
    pub identity: TlsArgs,

    /// The authorities (PEM) that clients' certificates, and an authentication server's, are checked against
    #[arg(long, env = "PUNCTUAL_QUEUE_TLS_ROOT_CA_FILE", value_name = "FILE")]
    pub tls_root_ca_file: Option<PathBuf>,

    /// Ask clients for certificates: any, or one that an authority of --tls-root-ca-file issued; implies --tls-required
    #[arg(long, env = "PUNCTUAL_QUEUE_TLS_CLIENT_AUTH_POLICY", value_name = "POLICY")]
    pub tls_client_auth_policy: Option<ClientAuthPolicy>,

    /// Refuse clients without TLS; with tcp-https plain HTTP stays open
    #[arg(long, env = "PUNCTUAL_QUEUE_TLS_REQUIRED", value_name = "WHERE", default_value = "false",
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls_required: TlsRequired,

    /// The oldest version of TLS to talk; 1.0 and 1.1 are read as 1.2, for nobody should talk those
    #[arg(long, env = "PUNCTUAL_QUEUE_TLS_MIN_VERSION", value_name = "VERSION", default_value = "tls1.0")]
    pub tls_min_version: TlsMinVersion,
}

/// What is asked of clients' certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientAuthPolicy {
    /// Any certificate, whoever issued it.
    Require,
    /// One that a known authority issued.
    RequireVerify,
}

/// Where TLS is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsRequired {
    /// Nowhere.
    False,
    /// On both interfaces.
    True,
    /// On the TCP interface only.
    TcpHttps,
}

/// The oldest version of TLS that is talked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "each is the version of that name")]
pub enum TlsMinVersion {
    #[value(name = "tls1.0")]
    Tls10,
    #[value(name = "tls1.1")]
    Tls11,
    #[value(name = "tls1.2")]
    Tls12,
    #[value(name = "tls1.3")]
    Tls13,
}

impl TlsMinVersion {
    /// Its number on the wire, as Go has it.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }
}

impl NodeTlsOptions {
    /// Where TLS is demanded, if only because certificates are.
    pub(crate) fn required(&self) -> TlsRequired {
        match self.tls_required {
            TlsRequired::False if self.tls_client_auth_policy.is_some() => TlsRequired::True,
            required => required,
        }
    }
}
