use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use punctual_service::socket::{Address, BadAddress};

/// Where the HTTP interface listens, if there is to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpAddress {
    /// Nowhere; written as nothing.
    Off,
    /// There.
    At(Address),
}

impl HttpAddress {
    /// Where; `None` for nowhere.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl FromStr for HttpAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if text.is_empty() { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().map_or(Ok(()), |address| address.fmt(f))
    }
}

impl From<Address> for HttpAddress {
    fn from(address: Address) -> Self {
        Self::At(address)
    }
}

impl From<SocketAddr> for HttpAddress {
    fn from(address: SocketAddr) -> Self {
        Self::At(address.into())
    }
}

impl From<([u8; 4], u16)> for HttpAddress {
    fn from(address: ([u8; 4], u16)) -> Self {
        Self::At(address.into())
    }
}
