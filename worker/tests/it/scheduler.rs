//! A scheduler that answers as it is told to and writes down what it is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use punctual_proto::v1::batch_finish_attempts_response::Answer as FinishAnswer;
use punctual_proto::v1::start_attempt_response::Answer as StartAnswer;
use punctual_proto::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use punctual_proto::v1::*;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

const LIMIT: Duration = Duration::from_secs(10);

/// What was asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Register(RegisterWorkerRequest),
    Unregister(String),
    Start(Vec<String>),
    Beat(HeartbeatRequest),
    Finish(FinishAttemptRequest),
    Release(ReleaseAttemptRequest),
}

/// How to answer. A test changes it at any time.
pub(crate) struct Manners {
    pub(crate) lease: Duration,
    pub(crate) beat_every: Duration,
    /// Everything is answered with this.
    pub(crate) refuse: Option<Status>,
    /// Reports are answered with this.
    pub(crate) refuse_reports: Option<Status>,
    /// Answers for runs; a run that is not here is granted, as attempt 1.
    pub(crate) answers: HashMap<String, Vec<StartAnswer>>,
    pub(crate) start_to_close: Duration,
    /// How long a grant takes to arrive.
    pub(crate) grants_take: Duration,
    pub(crate) cancel_grace: Duration,
    /// Goes with the next heartbeat's answer.
    pub(crate) cancel: Vec<heartbeat_response::AttemptRef>,
    pub(crate) lost: Vec<heartbeat_response::AttemptRef>,
    /// When the last heartbeat or registration was answered.
    pub(crate) answered_at: Option<Instant>,
    /// The bearer token of the last call.
    pub(crate) authorization: Option<String>,
    pub(crate) payload: String,
}

pub(crate) struct Scheduler {
    pub(crate) url: String,
    manners: Arc<Mutex<Manners>>,
    calls: mpsc::UnboundedReceiver<Call>,
    _server: JoinSet<()>,
}

impl Scheduler {
    pub(crate) async fn start() -> Self {
        Self::serve("http", Server::builder()).await
    }

    /// Serves TLS as `localhost`, and returns the certificate to trust.
    pub(crate) async fn start_tls() -> (Self, String) {
        punctual_service::tls::install_crypto_provider();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let cert = certified.cert.pem();
        let identity = Identity::from_pem(&cert, certified.signing_key.serialize_pem());
        let server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
        (Self::serve("https", server).await, cert)
    }

    async fn serve(scheme: &str, mut grpc: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let manners = Arc::new(Mutex::new(Manners {
            lease: Duration::from_secs(10),
            beat_every: Duration::from_millis(20),
            refuse: None,
            refuse_reports: None,
            answers: HashMap::new(),
            start_to_close: Duration::from_secs(60),
            grants_take: Duration::ZERO,
            cancel_grace: Duration::from_millis(500),
            cancel: Vec::new(),
            lost: Vec::new(),
            answered_at: None,
            authorization: None,
            payload: "{}".to_owned(),
        }));
        let (say, calls) = mpsc::unbounded_channel();
        let service = WorkerServiceServer::new(Service { manners: Arc::clone(&manners), say });
        let mut server = JoinSet::new();
        server.spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            grpc.add_service(service).serve_with_incoming(incoming).await.unwrap();
        });
        let url = format!("{scheme}://localhost:{}", address.port());
        Self { url, manners, calls, _server: server }
    }

    pub(crate) fn manners(&self) -> MutexGuard<'_, Manners> {
        self.manners.lock().unwrap()
    }

    /// Answers the questions for a run in this order; the last answer is repeated.
    pub(crate) fn answer(&self, run: &str, answers: impl IntoIterator<Item = StartAnswer>) {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        self.manners().answers.insert(run.to_owned(), answers);
    }

    /// The first call, from now on, that `wanted` makes something of.
    pub(crate) async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(Call) -> Option<T>) -> T {
        let search = async {
            loop {
                let call = self.calls.recv().await.expect("the scheduler runs");
                if let Some(found) = wanted(call) {
                    return found;
                }
            }
        };
        tokio::time::timeout(LIMIT, search).await.unwrap_or_else(|_| panic!("in vain: {what}"))
    }

    pub(crate) async fn registered(&mut self) -> RegisterWorkerRequest {
        self.until(
            "registration",
            |call| if let Call::Register(request) = call { Some(request) } else { None },
        )
        .await
    }

    pub(crate) async fn finished(&mut self) -> FinishAttemptRequest {
        self.until("report", |call| if let Call::Finish(request) = call { Some(request) } else { None }).await
    }

    pub(crate) async fn beat(
        &mut self,
        mut wanted: impl FnMut(&HeartbeatRequest) -> bool,
    ) -> HeartbeatRequest {
        let wanted = |call| if let Call::Beat(beat) = call { Some(beat).filter(&mut wanted) } else { None };
        self.until("heartbeat", wanted).await
    }

    /// Everything asked so far and not looked at.
    pub(crate) fn calls_so_far(&mut self) -> Vec<Call> {
        std::iter::from_fn(|| self.calls.try_recv().ok()).collect()
    }
}

pub(crate) fn gone(reason: gone::Reason) -> StartAnswer {
    StartAnswer::Gone(Gone { reason: reason.into() })
}

pub(crate) fn not_due(wait: Duration) -> StartAnswer {
    StartAnswer::NotDue(NotDue { wait: wait.try_into().ok() })
}

struct Service {
    manners: Arc<Mutex<Manners>>,
    say: mpsc::UnboundedSender<Call>,
}

impl Service {
    /// Writes a call down, and answers it when answers are given.
    fn hear<T>(&self, request: &Request<T>, call: Call) -> Result<MutexGuard<'_, Manners>, Status> {
        let mut manners = self.manners.lock().unwrap();
        let bearer = request.metadata().get("authorization");
        manners.authorization = bearer.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // The test may have ended.
        let _ = self.say.send(call);
        manners.refuse.clone().map_or(Ok(manners), Err)
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl WorkerService for Service {
    async fn register_worker(
        &self,
        request: Request<RegisterWorkerRequest>,
    ) -> Answer<RegisterWorkerResponse> {
        let mut manners = self.hear(&request, Call::Register(request.get_ref().clone()))?;
        manners.answered_at = Some(Instant::now());
        Ok(Response::new(RegisterWorkerResponse {
            lease: manners.lease.try_into().ok(),
            heartbeat_every: manners.beat_every.try_into().ok(),
        }))
    }

    async fn unregister_worker(
        &self,
        request: Request<UnregisterWorkerRequest>,
    ) -> Answer<UnregisterWorkerResponse> {
        drop(self.hear(&request, Call::Unregister(request.get_ref().session.clone()))?);
        Ok(Response::new(UnregisterWorkerResponse {}))
    }

    async fn start_attempt(&self, _: Request<StartAttemptRequest>) -> Answer<StartAttemptResponse> {
        Err(Status::unimplemented("the worker asks in batches"))
    }

    async fn batch_start_attempts(
        &self,
        request: Request<BatchStartAttemptsRequest>,
    ) -> Answer<BatchStartAttemptsResponse> {
        let runs: Vec<_> = request.get_ref().starts.iter().map(|start| start.run_id.clone()).collect();
        let grants_take = self.hear(&request, Call::Start(runs.clone()))?.grants_take;
        tokio::time::sleep(grants_take).await;
        let mut manners = self.manners.lock().unwrap();
        let answers = runs.into_iter().map(|run_id| {
            let granted = StartAnswer::Granted(Granted {
                attempt: 1,
                run_id: run_id.clone(),
                namespace: "default".into(),
                job: "j".into(),
                kind: "work".into(),
                payload: manners.payload.clone(),
                start_to_close: manners.start_to_close.try_into().ok(),
                cancel_grace: manners.cancel_grace.try_into().ok(),
                ..Default::default()
            });
            let answer = match manners.answers.get_mut(&run_id) {
                Some(answers) if answers.len() > 1 => answers.pop(),
                Some(answers) => answers.last().cloned(),
                None => Some(granted),
            };
            StartAttemptResponse { answer }
        });
        Ok(Response::new(BatchStartAttemptsResponse { answers: answers.collect() }))
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Answer<HeartbeatResponse> {
        let mut manners = self.hear(&request, Call::Beat(request.get_ref().clone()))?;
        manners.answered_at = Some(Instant::now());
        let (cancel, lost) = (std::mem::take(&mut manners.cancel), std::mem::take(&mut manners.lost));
        Ok(Response::new(HeartbeatResponse { cancel, lost }))
    }

    async fn finish_attempt(&self, _: Request<FinishAttemptRequest>) -> Answer<FinishAttemptResponse> {
        Err(Status::unimplemented("the worker reports in batches"))
    }

    async fn batch_finish_attempts(
        &self,
        request: Request<BatchFinishAttemptsRequest>,
    ) -> Answer<BatchFinishAttemptsResponse> {
        let mut answers = Vec::new();
        let BatchFinishAttemptsRequest { session, finishes } = request.get_ref().clone();
        for finish in finishes {
            let finish = FinishAttemptRequest { session: session.clone(), ..finish };
            let manners = self.hear(&request, Call::Finish(finish))?;
            manners.refuse_reports.clone().map_or(Ok(()), Err)?;
            answers.push(FinishAnswer::Stored.into());
        }
        Ok(Response::new(BatchFinishAttemptsResponse { answers }))
    }

    async fn release_attempt(
        &self,
        request: Request<ReleaseAttemptRequest>,
    ) -> Answer<ReleaseAttemptResponse> {
        drop(self.hear(&request, Call::Release(request.get_ref().clone()))?);
        Ok(Response::new(ReleaseAttemptResponse {}))
    }
}
