use std::fmt;
use std::str::FromStr;

use tonic::codegen::http::uri::Authority;
use tonic::transport::Uri;

/// Where a scheduler serves gRPC: `http` or `https`, a host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl(Uri);

/// A text that is no such address.
#[derive(Debug, thiserror::Error)]
#[error("write it as http://HOST:PORT or https://HOST:PORT")]
pub(crate) struct ServerUrlError;

impl ServerUrl {
    /// The address as tonic takes it.
    pub(crate) fn uri(&self) -> Uri {
        self.0.clone()
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    /// `HOST:PORT` alone is taken for http.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = url.parse().map_err(|_| ServerUrlError)?;
        let known_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        let only_authority = uri.path_and_query().is_none_or(|path| path == "/");
        let good_authority = uri.authority().is_some_and(is_host_and_port);
        if known_scheme && only_authority && good_authority { Ok(Self(uri)) } else { Err(ServerUrlError) }
    }
}

/// A host, and a port if any. The parser lets user names and ports beyond 65535 pass.
fn is_host_and_port(authority: &Authority) -> bool {
    let after_host = authority.as_str().strip_prefix(authority.host());
    let good_port = after_host == Some("") || authority.port_u16().is_some();
    !authority.host().is_empty() && after_host.is_some() && good_port
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(text.parse::<ServerUrl>().ok().map(|url| url.to_string()).as_deref(), expect);
    }

    #[test]
    fn addresses_are_taken_with_and_without_a_scheme() {
        check("http://127.0.0.1:7700", Some("http://127.0.0.1:7700"));
        check("https://punctual.example/", Some("https://punctual.example"));
        check("scheduler-1:7700", Some("http://scheduler-1:7700"));
        check(" [::1]:7700 ", Some("http://[::1]:7700"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "ftp://host",
            "http://host/path",
            "http://",
            "a b",
            "http://host:99999",
            "http://me:secret@host:1",
        ] {
            check(text, None);
        }
    }
}
