use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig};
use tonic::{Request, Response, Status};

use super::unreachable::Cause;
use super::{Refusal, ServerUrl, Unreachable};
use crate::failure::Failure;

/// How long a call to a scheduler in the same process may take. It may be busy with everything else there.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Several schedulers that answer alike. Calls go to one of them while it answers, and to the next when it fails.
#[derive(Debug)]
pub(crate) struct Servers {
    servers: Vec<Server>,
    /// The index of the one that answered last.
    current: AtomicUsize,
    timeout: Duration,
}

#[derive(Debug)]
struct Server {
    url: ServerUrl,
    link: Link,
}

/// A connection to one scheduler, made when first used and again when it broke.
pub(crate) type Link = InterceptedService<Channel, Shown>;

/// What every call shows of its caller.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// The token.
    pub(super) bearer: Option<MetadataValue<Ascii>>,
    /// A name, for the record.
    pub(super) actor: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Shown {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (key, value) in [("authorization", &self.bearer), ("punctual-actor", &self.actor)] {
            if let Some(value) = value {
                request.metadata_mut().insert(key, value.clone());
            }
        }
        Ok(request)
    }
}

impl Servers {
    /// None of the servers is connected to yet. `timeout` is for one call, all servers together.
    ///
    /// # Errors
    /// When the certificates in `tls` are unusable.
    pub(super) fn new(
        urls: Vec<ServerUrl>,
        timeout: Duration,
        shown: Shown,
        tls: &ClientTlsConfig,
    ) -> Result<Self, Failure> {
        let connect = |url: ServerUrl| {
            let mut endpoint = Channel::builder(url.uri()).tcp_nodelay(true).connect_timeout(timeout);
            if url.is_tls() {
                endpoint = endpoint
                    .tls_config(tls.clone())
                    .map_err(|error| Failure::Usage(format!("cannot use TLS: {error}")))?;
            }
            let link = InterceptedService::new(endpoint.connect_lazy(), shown.clone());
            Ok(Server { url, link })
        };
        Ok(Self {
            servers: urls.into_iter().map(connect).collect::<Result<_, Failure>>()?,
            current: AtomicUsize::new(0),
            timeout,
        })
    }

    /// The scheduler at `url`, without a token.
    ///
    /// # Errors
    /// When that is no address.
    pub(crate) fn local(url: &str) -> Result<Self, Failure> {
        let url = url.parse().map_err(|error| Failure::Usage(format!("{url}: {error}")))?;
        Self::new(vec![url], LOCAL_TIMEOUT, Shown::default(), &ClientTlsConfig::new())
    }

    /// How long one call may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Makes one call: at the server that answered last, then at each other one once, until one answers.
    ///
    /// The time left is shared out among the servers left, so that a silent one leaves time for the next. A call
    /// may arrive twice; what must happen once carries a request id.
    ///
    /// # Errors
    /// The first answer that is a refusal; or, when nobody answered, why each did not.
    pub(crate) async fn call<T>(
        &self,
        call: impl AsyncFn(Link) -> Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + self.timeout;
        let first = self.current.load(Ordering::Relaxed);
        let mut tried = Vec::new();
        for turn in 0..self.servers.len() {
            let index = (first + turn) % self.servers.len();
            let server = &self.servers[index];
            let share = share(deadline.saturating_duration_since(Instant::now()), self.servers.len() - turn);
            let cause = match tokio::time::timeout(share, call(server.link.clone())).await {
                Ok(Ok(answer)) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(answer.into_inner());
                }
                Ok(Err(status)) => match Cause::of(&status) {
                    Some(cause) => cause,
                    None => return Err(Box::new(Refusal::from(status)).into()),
                },
                Err(_elapsed) => Cause::Silent(share),
            };
            tracing::debug!(server = %server.url, %cause, "server did not answer");
            tried.push((server.url.to_string(), cause));
        }
        Err(Unreachable { tried }.into())
    }
}

fn share(left: Duration, servers: usize) -> Duration {
    left / u32::try_from(servers).unwrap_or(u32::MAX).max(1)
}
