//! A worker: one session after another, from start to shutdown.

mod builder;
mod error;

use std::sync::Arc;
use std::time::Duration;

use punctual_proto::v1;
use punctual_service::health::Health;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use uuid::Uuid;

pub use builder::WorkerBuilder;
pub use error::{BuildError, WorkerError};

use crate::handler::Handlers;
use crate::inbox::{Inbox, Source};
use crate::meters;
use crate::schedulers::{CallError, Schedulers};
use crate::session::{Lease, Session, SessionEnd, Unreported};

/// The first pause between two tries to register; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Executes the attempts of one task queue. Made by [`Worker::builder`].
#[derive(Debug)]
pub struct Worker {
    site: Arc<Site>,
    source: Source,
    ready: watch::Sender<bool>,
}

/// What stays the same through all sessions of a worker.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) task_queue: String,
    pub(crate) places: u32,
    pub(crate) drain_timeout: Duration,
    pub(crate) handlers: Handlers,
    pub(crate) schedulers: Schedulers,
    pub(crate) health: Health,
}

/// The name of this machine, for people.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl Worker {
    /// A worker with nothing set but the defaults.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder::default()
    }

    /// The conditions `scheduler` (a session is open) and `queue` (a queue node is connected).
    pub fn health(&self) -> Health {
        self.site.health.clone()
    }

    /// Completes when the worker has registered and reached a queue node for the first time; never, when it is
    /// dropped before.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ready = self.ready.subscribe();
        async move {
            if ready.wait_for(|ready| *ready).await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Works until `shutdown`, then drains: takes nothing new, gives what has not started back, waits for the
    /// handlers up to the drain time-out, cancels and releases what is left.
    ///
    /// Dropping the future stops every handler at its next await point, kills the runner's processes, and leaves
    /// it to the schedulers to notice.
    ///
    /// # Errors
    /// When a scheduler refuses the worker at its first registration, or the queue cannot be used at all. What
    /// passes (no scheduler or node to be reached, a lost session) is waited out.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let mut inbox = Inbox::open(self.source)?;
        let mut unreported: Option<Unreported> = None;
        let mut registered_before = false;
        loop {
            let registration = Registration { site: &self.site, registered_before };
            let (session, lease) = tokio::select! {
                granted = registration.until_granted() => granted?,
                () = inbox.send_back() => return Err(WorkerError::QueueClosed),
                () = shutdown.cancelled() => break,
            };
            registered_before = true;
            let mut running = Session::new(Arc::clone(&self.site), session, lease, &self.ready);
            let offer = async {
                if let Some(left) = unreported.take() {
                    left.offer(&self.site.schedulers).await;
                }
            };
            let (end, ()) = tokio::join!(running.run(&mut inbox, &shutdown), offer);
            match end? {
                SessionEnd::Drained => break,
                SessionEnd::Lost(left) => unreported = Some(left),
            }
        }
        self.site.health.set_ready("scheduler", false, "shutting down");
        inbox.close().await;
        Ok(())
    }
}

/// The attempt to open one session.
struct Registration<'a> {
    site: &'a Site,
    registered_before: bool,
}

impl Registration<'_> {
    /// Tries until a scheduler grants a session, under one id: each try that was stored though nobody heard of it would
    /// leave a worker behind that is not there.
    async fn until_granted(&self) -> Result<(String, Lease), WorkerError> {
        let mut pause = FIRST_PAUSE;
        let mut session = Uuid::new_v4().to_string();
        loop {
            let sent = Instant::now();
            match self.register(&session).await {
                Ok(answer) => return Ok((session.clone(), self.opened(&session, &answer, sent))),
                // An earlier try was stored, and its lease has run out since.
                Err(CallError::Refused(status)) if status.code() == Code::NotFound => {
                    tracing::warn!(%status, session, "could not register under this id, taking another");
                    session = Uuid::new_v4().to_string();
                }
                Err(CallError::Refused(status)) if !self.registered_before => {
                    return Err(WorkerError::Refused {
                        code: status.code(),
                        message: status.message().to_owned(),
                    });
                }
                Err(error) => {
                    let reason = error.to_string();
                    tracing::warn!(error = reason, "could not register with a scheduler, trying again");
                    self.site.health.set_ready("scheduler", false, reason);
                }
            }
            // Workers cut off together must not come back together.
            tokio::time::sleep(rand::random_range(pause / 2..=pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn register(&self, session: &str) -> Result<v1::RegisterWorkerResponse, CallError> {
        let request = v1::RegisterWorkerRequest {
            session: session.to_owned(),
            name: self.site.name.clone(),
            namespace: self.site.namespace.clone(),
            task_queue: self.site.task_queue.clone(),
            kinds: self.site.handlers.kinds().cloned().collect(),
            places: self.site.places,
        };
        let call = self.site.schedulers.call(|mut scheduler| {
            let request = request.clone();
            async move { scheduler.register_worker(request).await }
        });
        call.await
    }

    fn opened(&self, session: &str, answer: &v1::RegisterWorkerResponse, sent: Instant) -> Lease {
        tracing::info!(
            session,
            worker.name = self.site.name,
            namespace = self.site.namespace,
            task_queue = self.site.task_queue,
            places = self.site.places,
            "registered"
        );
        self.site.health.set_ready("scheduler", true, "");
        meters::session_opened();
        Lease::granted(answer, sent)
    }
}
