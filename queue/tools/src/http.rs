//! Asking lookups and nodes over HTTP.

use std::time::Duration;

use punctual_queue_wire::http::ACCEPT_VALUE;
use reqwest::{StatusCode, Url, header::ACCEPT};
use serde::de::DeserializeOwned;

/// The largest answer taken: the statistics of a node with very many channels.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Why a lookup or node gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not `host:port`.
    #[error("{0:?} is not the HTTP address of a lookup or node")]
    BadAddress(String),
    /// The client could not be set up.
    #[error("could not set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The answer has more than 64 MiB.
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
    /// No connection, no answer in time, or a status that says no.
    #[error("asking {address} failed")]
    Request {
        /// Who was asked.
        address: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
}

/// Asks for JSON.
#[derive(Debug, Clone)]
pub struct HttpClient(reqwest::Client);

impl HttpClient {
    /// A client that gives up after these times.
    ///
    /// # Errors
    /// It could not be set up.
    pub fn new(connect_timeout: Duration, request_timeout: Duration) -> Result<Self, HttpError> {
        let client = reqwest::Client::builder().connect_timeout(connect_timeout).timeout(request_timeout);
        // A proxy that the environment names is for the world outside, not for the nodes next door.
        client.no_proxy().build().map(Self).map_err(HttpError::Client)
    }

    /// What `address` (`host:port`) answers at a path; `None` for 404.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn get<T: DeserializeOwned>(
        &self,
        address: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<T>, HttpError> {
        let url = Url::parse_with_params(&format!("http://{address}/{path}"), query)
            .map_err(|_| HttpError::BadAddress(address.to_owned()))?;
        let failed = |source| HttpError::Request { address: address.to_owned(), source };
        let answer = self.0.get(url).header(ACCEPT, ACCEPT_VALUE).send().await.map_err(failed)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let mut answer = answer.error_for_status().map_err(failed)?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if body.len() + part.len() > MAX_ANSWER_BYTES {
                return Err(HttpError::TooBig { address: address.to_owned() });
            }
            body.extend_from_slice(&part);
        }
        let bad = |source| HttpError::BadAnswer { address: address.to_owned(), source };
        serde_json::from_slice(&body).map(Some).map_err(bad)
    }
}
