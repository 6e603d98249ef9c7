//! Authorisation: authentication servers say, over HTTP, what the owner of a secret may do.

mod applicant;
mod authorizations;
mod granted;

use std::path::PathBuf;
use std::time::Duration;

use punctual_queue_wire::http::ACCEPT_VALUE;
use rand::seq::SliceRandom as _;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::Deserialize;

use crate::options::{AuthMethod, NodeOptions};
pub(crate) use applicant::Applicant;
use authorizations::Unusable;
pub(crate) use authorizations::{Authorizations, Permission};
pub(crate) use granted::Granted;

/// Where an address without a path is asked.
const PATH: &str = "/auth";

/// Most bytes an answer may have.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Why authentication servers cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum AuthSetupError {
    /// An address is neither host:port nor a URL.
    #[error("--auth-http-address {0} is neither host:port nor an http or https URL")]
    Address(String),
    /// The authorities that servers are checked against could not be read.
    #[error("could not read {} (--tls-root-ca-file)", path.display())]
    Roots {
        /// Their file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client for authentication could not be set up")]
    Client(#[source] reqwest::Error),
}

/// Why one question got no usable answer. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer has more than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    #[error("its answer is not the JSON it should be")]
    Json(#[source] serde_json::Error),
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

impl From<reqwest::Error> for AuthError {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error.without_url()) // the URL has the secret
    }
}

/// The authentication servers, any of which may be asked.
#[derive(Debug)]
pub(crate) struct AuthServers {
    urls: Vec<Url>,
    method: AuthMethod,
    client: Client,
}

impl AuthServers {
    /// `None` when there is none to ask.
    pub(crate) fn new(options: &NodeOptions) -> Result<Option<Self>, AuthSetupError> {
        let auth = &options.auth;
        if auth.auth_http_addresses.is_empty() {
            return Ok(None);
        }
        let urls = auth.auth_http_addresses.iter().map(|address| parse(address));
        let roots = options.tls.tls_root_ca_file.as_ref().map(read_roots).transpose()?;
        let timeouts = (auth.http_client_connect_timeout, auth.http_client_request_timeout);
        Ok(Some(Self {
            urls: urls.collect::<Result<_, _>>()?,
            method: auth.auth_http_request_method,
            client: client(roots, timeouts).map_err(AuthSetupError::Client)?,
        }))
    }

    /// Asks one server after the other, beginning with any, until one answers; `None` when none does.
    pub(crate) async fn ask(&self, applicant: &Applicant) -> Option<Authorizations> {
        let mut order: Vec<_> = self.urls.iter().collect();
        order.shuffle(&mut rand::rng());
        for url in order {
            match self.ask_at(url, applicant).await {
                Ok(granted) => return Some(granted),
                Err(error) => {
                    let error = crate::health::reason(&error);
                    tracing::warn!(auth.server = %bare(url), error, "an authentication server gave no usable answer");
                }
            }
        }
        None
    }

    async fn ask_at(&self, url: &Url, applicant: &Applicant) -> Result<Authorizations, AuthError> {
        let mut answer = self.request(url.clone(), applicant).send().await?;
        if answer.status() == StatusCode::FORBIDDEN
            && let Some(secure) = https_instead(url, &body(&mut answer).await?)
        {
            answer = self.request(secure, applicant).send().await?;
        }
        if answer.status() != StatusCode::OK {
            return Err(AuthError::Status(answer.status()));
        }
        Authorizations::from_json(&body(&mut answer).await?)
    }

    fn request(&self, url: Url, applicant: &Applicant) -> RequestBuilder {
        let request = match self.method {
            AuthMethod::Get => self.client.get(url).query(&applicant.query()),
            AuthMethod::Post => self.client.post(url).json(&applicant.json()),
        };
        request.header(reqwest::header::ACCEPT, ACCEPT_VALUE)
    }
}

fn parse(address: &str) -> Result<Url, AuthSetupError> {
    let whole = if address.contains("://") { address.to_owned() } else { format!("http://{address}{PATH}") };
    Url::parse(&whole)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| AuthSetupError::Address(address.to_owned()))
}

fn read_roots(path: &PathBuf) -> Result<Vec<Certificate>, AuthSetupError> {
    let failed = |source| AuthSetupError::Roots { path: path.clone(), source };
    let pem = std::fs::read(path).map_err(failed)?;
    Certificate::from_pem_bundle(&pem).map_err(|e| failed(std::io::Error::other(e)))
}

/// With the authorities given, or the machine's own; on a machine that has none, HTTPS fails when it is used.
fn client(
    roots: Option<Vec<Certificate>>,
    (connect, request): (Duration, Duration),
) -> Result<Client, reqwest::Error> {
    punctual_service::tls::install_crypto_provider();
    let builder = || {
        Client::builder()
            .connect_timeout(connect)
            .timeout(request)
            .no_proxy()
            .redirect(redirect::Policy::none()) // a secret goes nowhere else
    };
    match roots {
        Some(roots) => builder().tls_certs_only(roots).build(),
        None => builder().build().or_else(|_| builder().tls_certs_only([]).build()),
    }
}

async fn body(answer: &mut Response) -> Result<Vec<u8>, AuthError> {
    let mut whole = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        whole.extend_from_slice(&chunk);
        if whole.len() > MAX_ANSWER_BYTES {
            return Err(AuthError::TooLong);
        }
    }
    Ok(whole)
}

/// The same question over TLS, if that is what a refusal asks for.
fn https_instead(url: &Url, refusal: &[u8]) -> Option<Url> {
    #[derive(Deserialize)]
    struct Refusal {
        https_port: u16,
    }
    let Refusal { https_port } = serde_json::from_slice(refusal).ok()?;
    let mut secure = url.clone();
    secure.set_scheme("https").ok()?;
    secure.set_port(Some(https_port)).ok()?;
    Some(secure)
}

/// Without what might be secret.
fn bare(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}
