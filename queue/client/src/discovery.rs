//! Asking lookups which nodes there are.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use punctual_queue_wire::{
    discovery::{LookupAnswer, NodesAnswer, Producer},
    http::{ACCEPT_VALUE, CONTENT_TYPE_HEADER},
    name::TopicName,
};
use reqwest::{StatusCode, Url, header::ACCEPT};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    address::NodeAddress,
    identity::{NodeIdentity, NodeInfo},
    tls::{ClientTls, TlsOptions, TlsSetupError},
};

mod topics;

pub use topics::TopicListing;

/// A lookup that does not take the connection within this time is left out.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A lookup that has not answered within this time is left out.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest answer taken: tens of thousands of nodes with their topics.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Why a lookup or node could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Not `host:port`, nor a URL of http or https.
    #[error("{address:?} is not the HTTP address of a lookup or node")]
    BadAddress {
        /// What was given.
        address: String,
    },
    /// The HTTP client could not be set up.
    #[error("could not set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The authorities that the system trusts, for https, could not be read.
    #[error("could not set up TLS")]
    Tls(#[source] TlsSetupError),
    /// No connection, no answer in time, or a status that says no.
    #[error("asking {address} failed")]
    Request {
        /// Who was asked.
        address: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The answer has more than 16 MiB.
    #[error("the answer of {address} is too big")]
    TooBig {
        /// Who was asked.
        address: String,
    },
    /// The answer is not the JSON expected.
    #[error("{address} did not answer as a lookup or node does")]
    BadAnswer {
        /// Who was asked.
        address: String,
        /// What was wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// What the lookups that could be reached say together.
#[derive(Debug, Default)]
pub struct Listing {
    /// The nodes, each once, by address.
    pub nodes: Vec<NodeAddress>,
    /// The lookups that answered.
    pub answered: Vec<String>,
    /// The lookups that did not.
    pub failed: Vec<DiscoveryError>,
}

impl Listing {
    /// Whether every lookup answered, so that a node that is not listed is known to be gone.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && !self.answered.is_empty()
    }
}

/// Asks a fixed list of lookups, all at once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LookupClient {
    http: HttpClient,
    lookups: Vec<(String, Url)>,
}

impl LookupClient {
    /// A client for these lookups, each `host:port` of its HTTP interface, or a URL of http or https.
    ///
    /// # Errors
    /// An address cannot be used. Nothing is dialled yet.
    pub fn new<A: AsRef<str>>(lookups: impl IntoIterator<Item = A>) -> Result<Self, DiscoveryError> {
        Self::with_tls(lookups, None)
    }

    /// The same with certificates for lookups whose URL is an https one; without, they are checked against the
    /// authorities that the system trusts. Any [`server_name`](TlsOptions::server_name) is for nodes: a lookup has the
    /// name in its URL.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_tls<A: AsRef<str>>(
        lookups: impl IntoIterator<Item = A>,
        tls: Option<&ClientTls>,
    ) -> Result<Self, DiscoveryError> {
        let parse = |address: A| Ok((address.as_ref().to_owned(), base_url(address.as_ref())?));
        let lookups = lookups.into_iter().map(parse).collect::<Result<Vec<_>, DiscoveryError>>()?;
        let with_https = lookups.iter().any(|(_, base)| base.scheme() == "https");
        let http = match tls {
            None if with_https => {
                let system = ClientTls::load(&TlsOptions::default()).map_err(DiscoveryError::Tls)?;
                HttpClient::new(Some(&system))?
            }
            given => HttpClient::new(given)?,
        };
        Ok(Self { http, lookups })
    }

    /// Whether there is any lookup to ask.
    pub fn has_lookups(&self) -> bool {
        !self.lookups.is_empty()
    }

    /// Every node that any lookup knows.
    pub async fn nodes(&self) -> Listing {
        let answers = self.ask("nodes", &[], |answer: NodesAnswer| {
            answer.producers.into_iter().map(|entry| entry.producer).collect()
        });
        answers.await
    }

    /// The nodes that have a topic.
    pub async fn producers(&self, topic: &TopicName) -> Listing {
        self.ask("lookup", &[("topic", topic.as_str())], |answer: LookupAnswer| answer.producers).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        producers: impl Fn(T) -> Vec<Producer>,
    ) -> Listing {
        let requests = self.lookups.iter().map(async |(address, base)| {
            (address, self.http.get::<T>(address, with_path(base, path, query)).await)
        });
        let mut nodes = BTreeMap::new();
        let mut listing = Listing::default();
        for (address, answer) in join_all(requests).await {
            match answer {
                Ok(answer) => {
                    listing.answered.push(address.clone());
                    let found = answer.map(&producers).unwrap_or_default();
                    nodes.extend(found.iter().map(NodeAddress::of).map(|node| (node.tcp().to_owned(), node)));
                }
                Err(error) => listing.failed.push(error),
            }
        }
        listing.nodes = nodes.into_values().collect();
        listing
    }
}

/// HTTP towards lookups and nodes, with time-outs that suit a local network.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient(reqwest::Client);

impl HttpClient {
    /// Without TLS, https is out of the question.
    pub(crate) fn new(tls: Option<&ClientTls>) -> Result<Self, DiscoveryError> {
        let tls = match tls {
            Some(tls) => tls.http_config(),
            // Left to itself it would want a crypto provider of the process.
            None => ClientTls::distrustful().map_err(DiscoveryError::Tls)?.http_config(),
        };
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // A proxy that the environment names is for the world outside, not for the nodes next door.
            .no_proxy()
            .build()
            .map(Self)
            .map_err(DiscoveryError::Client)
    }

    /// Asks a node who it is.
    pub(crate) async fn identity(&self, address: &str) -> Result<NodeIdentity, DiscoveryError> {
        let url = with_path(&base_url(address)?, "info", &[]);
        let info: Option<NodeInfo> = self.get(address, url).await?;
        info.map(NodeInfo::identity).ok_or_else(|| DiscoveryError::BadAddress { address: address.to_owned() })
    }

    /// `None` for 404, which is how a lookup says that it does not know a topic.
    async fn get<T: DeserializeOwned>(&self, address: &str, url: Url) -> Result<Option<T>, DiscoveryError> {
        let failed = |source| DiscoveryError::Request { address: address.to_owned(), source };
        let response = self.0.get(url).header(ACCEPT, ACCEPT_VALUE).send().await.map_err(failed)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let mut response = response.error_for_status().map_err(failed)?;
        let may_be_wrapped = !response.headers().contains_key(CONTENT_TYPE_HEADER);
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if body.len() + part.len() > MAX_ANSWER_BYTES {
                return Err(DiscoveryError::TooBig { address: address.to_owned() });
            }
            body.extend_from_slice(&part);
        }
        if may_be_wrapped && let Ok(Wrapped { data }) = serde_json::from_slice(&body) {
            return Ok(Some(data));
        }
        let bad = |source| DiscoveryError::BadAnswer { address: address.to_owned(), source };
        serde_json::from_slice(&body).map(Some).map_err(bad)
    }
}

/// How NSQ answered before its version 1.0, as the lack of a header tells.
#[derive(Deserialize)]
struct Wrapped<T> {
    data: T,
}

fn base_url(address: &str) -> Result<Url, DiscoveryError> {
    let bad = || DiscoveryError::BadAddress { address: address.to_owned() };
    let text = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let is_http = |url: &Url| ["http", "https"].contains(&url.scheme()) && url.has_host();
    Url::parse(&text).ok().filter(is_http).ok_or_else(bad)
}

fn with_path(base: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expect: Option<&str>) {
        let url = base_url(address).ok().map(|base| with_path(&base, "lookup", &[("topic", "a#ephemeral")]));
        assert_eq!(url.as_ref().map(Url::as_str), expect);
    }

    #[test]
    fn lookups_are_given_as_host_and_port_or_as_url() {
        check("127.0.0.1:4161", Some("http://127.0.0.1:4161/lookup?topic=a%23ephemeral"));
        check("http://lookup.example/nsq/", Some("http://lookup.example/nsq/lookup?topic=a%23ephemeral"));
        check("https://lookup.example", Some("https://lookup.example/lookup?topic=a%23ephemeral"));
        check("[::1]:4161", Some("http://[::1]:4161/lookup?topic=a%23ephemeral"));
        check("ftp://lookup.example", None);
        check("", None);
    }
}
