//! Listeners, opened with errors that say what to do.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::socket::{Address, Listener};

/// Why a listener was not opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something listens there already.
    #[error("{address} is in use by another process: stop it, or choose another address with {flag}")]
    InUse {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that names the address.
        flag: &'static str,
    },
    /// Something listens there already, or there is another file.
    #[error("{address} is in use, or is not a socket file: choose another with {flag}")]
    FileInUse {
        /// The socket file asked for.
        address: Address,
        /// The flag that names it.
        flag: &'static str,
    },
    /// This user may not listen there.
    #[error(
        "not permitted to listen on {address}: choose a port of 1024 or above with {flag}, or give the process CAP_NET_BIND_SERVICE"
    )]
    NotPermitted {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that names the address.
        flag: &'static str,
    },
    /// The machine does not have this address.
    #[error("{} is not an address of this machine: choose another with {flag}", address.ip())]
    NotOurs {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that names the address.
        flag: &'static str,
    },
    /// Others could reach the listener, and nothing would ask them who they are.
    #[error(
        "{flag} {address} can be reached from other machines without authentication: listen on 127.0.0.1, configure a token, or pass --allow-unauthenticated"
    )]
    Exposed {
        /// The address asked for.
        address: SocketAddr,
        /// The flag that names the address.
        flag: &'static str,
    },
    /// Anything else the system said.
    #[error("could not listen on {address} ({flag})")]
    Io {
        /// The address asked for.
        address: Address,
        /// The flag that names the address.
        flag: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, flag: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address, flag },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { address, flag },
            io::ErrorKind::AddrNotAvailable => Self::NotOurs { address, flag },
            _ => Self::Io { address: address.into(), flag, source },
        }
    }
}

/// Listens on `address`, which came from `flag` (with its dashes, as a user would type it).
///
/// # Errors
/// Names the address and the flag, and what to do about it.
pub async fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError::new(address, flag, source))
}

/// The same where the address may be a socket file.
///
/// # Errors
/// As [`listen`].
pub async fn listen_at(address: &Address, flag: &'static str) -> Result<Listener, BindError> {
    match address {
        Address::Tcp(address) => listen(*address, flag).await.map(Listener::Tcp),
        Address::Unix(_) => Listener::bind(address).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::FileInUse { address: address.clone(), flag },
            _ => BindError::Io { address: address.clone(), flag, source },
        }),
    }
}

/// Refuses an address that other machines can reach while nothing authenticates them, unless that is what the
/// operator asked for.
///
/// # Errors
/// [`BindError::Exposed`].
pub fn refuse_exposed(
    address: SocketAddr,
    flag: &'static str,
    authenticated: bool,
    allow_unauthenticated: bool,
) -> Result<(), BindError> {
    if authenticated || allow_unauthenticated || address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(BindError::Exposed { address, flag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_flag() {
        let first = listen(([127, 0, 0, 1], 0).into(), "--grpc-address").await.unwrap();
        let address = first.local_addr().unwrap();
        let error = listen(address, "--grpc-address").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{address} is in use by another process: stop it, or choose another address with --grpc-address"
            )
        );
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused() {
        let error = listen("192.0.2.1:0".parse().unwrap(), "--http-address").await.unwrap_err();
        assert!(matches!(error, BindError::NotOurs { .. }), "{error:?}");
    }

    #[track_caller]
    fn check(address: &str, authenticated: bool, allowed: bool, expect_refused: bool) {
        let outcome = refuse_exposed(address.parse().unwrap(), "--tcp-address", authenticated, allowed);
        assert_eq!(outcome.is_err(), expect_refused, "{address} {authenticated} {allowed}");
    }

    #[test]
    fn only_a_wide_open_address_is_refused() {
        check("127.0.0.1:1", false, false, false);
        check("127.9.9.9:1", false, false, false);
        check("[::1]:1", false, false, false);
        check("[::ffff:127.0.0.1]:1", false, false, false);
        check("0.0.0.0:1", false, false, true);
        check("[::]:1", false, false, true);
        check("10.0.0.5:1", false, false, true);
        check("0.0.0.0:1", true, false, false);
        check("0.0.0.0:1", false, true, false);
    }
}
