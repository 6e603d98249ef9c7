//! The schedulers a worker talks to: it keeps to one and moves on at the first error.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use punctual_proto::v1::worker_service_client::WorkerServiceClient;
use punctual_service::token::Token;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::worker::BuildError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long one scheduler may take to answer. A fifth of the lease, so that a hung one leaves time to ask others.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a call may take over all schedulers: half of the lease.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Notices a dead connection before the calls on it have piled up.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Holds 200 granted attempts with payloads of 1 MiB each.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A client of one scheduler.
pub(crate) type Scheduler = WorkerServiceClient<InterceptedService<Channel, Credentials>>;

/// The schedulers of one worker.
#[derive(Debug)]
pub(crate) struct Schedulers {
    servers: Vec<Server>,
    /// Index of the one that answered last. It may be stale: a wrong guess costs one call.
    current: AtomicUsize,
}

#[derive(Debug)]
struct Server {
    url: String,
    client: Scheduler,
}

/// Why a call brought no answer to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// A scheduler answered, and the answer is no.
    #[error("a scheduler refused: {} ({:?})", .0.message(), .0.code())]
    Refused(Status),
    /// None answered; each may or may not have acted.
    #[error("no scheduler answered, {url} last: {} ({:?})", .status.message(), .status.code())]
    Unanswered { url: String, status: Status },
}

impl Schedulers {
    /// Connects to nothing yet. The one to begin with is drawn, so that a fleet spreads over the schedulers.
    pub(crate) fn new(urls: &[String], token: Option<&Token>, ca: Option<&[u8]>) -> Result<Self, BuildError> {
        if urls.is_empty() {
            return Err(BuildError::NoServer);
        }
        let servers = urls.iter().map(|url| Server::new(url, token, ca)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { current: AtomicUsize::new(rand::random_range(0..servers.len())), servers })
    }

    /// Makes one call: on the current scheduler, then on each of the others until one answers. Worker calls are
    /// idempotent, so it does no harm when one acted whose answer was lost.
    pub(crate) async fn call<T, F, Answer>(&self, mut call: F) -> Result<T, CallError>
    where
        F: FnMut(Scheduler) -> Answer,
        Answer: Future<Output = Result<Response<T>, Status>>,
    {
        let first = self.current.load(Ordering::Relaxed);
        let deadline = tokio::time::Instant::now() + CALL_TIMEOUT;
        let mut last = None;
        for index in (first..first + self.servers.len()).map(|index| index % self.servers.len()) {
            let server = &self.servers[index];
            let until = deadline.min(tokio::time::Instant::now() + ANSWER_TIMEOUT);
            let answer = tokio::time::timeout_at(until, call(server.client.clone()))
                .await
                .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
            match answer {
                Ok(answer) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(answer.into_inner());
                }
                Err(status) if is_an_answer(status.code()) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Err(CallError::Refused(status));
                }
                Err(status) => {
                    tracing::debug!(url = server.url, %status, "scheduler did not answer");
                    // So that the next call does not begin with the one that just failed, even when this call
                    // gets no further.
                    self.current.store((index + 1) % self.servers.len(), Ordering::Relaxed);
                    last = Some(CallError::Unanswered { url: server.url.clone(), status });
                }
            }
            if tokio::time::Instant::now() >= deadline {
                break;
            }
        }
        Err(last.expect("there is at least one server, and it did not answer"))
    }
}

impl Server {
    fn new(url: &str, token: Option<&Token>, ca: Option<&[u8]>) -> Result<Self, BuildError> {
        let bad = || BuildError::Server { url: url.to_owned() };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| bad())?;
        let scheme = endpoint.uri().scheme_str().map(str::to_owned).unwrap_or_default();
        if !["http", "https"].contains(&scheme.as_str()) || endpoint.uri().host().is_none() {
            return Err(bad());
        }
        let mut endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        if scheme == "https" {
            punctual_service::tls::install_crypto_provider();
            let tls = match ca {
                Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                None => ClientTlsConfig::new().with_enabled_roots(),
            };
            endpoint =
                endpoint.tls_config(tls).map_err(|source| BuildError::Tls { url: url.to_owned(), source })?;
        }
        let client = WorkerServiceClient::with_interceptor(endpoint.connect_lazy(), Credentials::new(token))
            .max_decoding_message_size(MAX_ANSWER_BYTES);
        Ok(Self { url: url.to_owned(), client })
    }
}

/// Whether a status is a scheduler's own decision, which another one would repeat.
fn is_an_answer(code: Code) -> bool {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unauthenticated => true,
        // `Unimplemented` too: during an upgrade another scheduler may know the call.
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => false,
    }
}

/// Adds the bearer token and the deadline to every call.
#[derive(Debug, Clone)]
pub(crate) struct Credentials(Option<MetadataValue<Ascii>>);

impl Credentials {
    fn new(token: Option<&Token>) -> Self {
        Self(token.map(|token| {
            let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.reveal())
                .parse()
                .expect("a token has only characters that can stand in a header");
            value.set_sensitive(true);
            value
        }))
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        request.set_timeout(ANSWER_TIMEOUT);
        Ok(request)
    }
}
