//! A client of the schedulers that writes down what it asked for and what it was told.

mod call;
mod jobs;
mod runs;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use punctual_proto::v1::job_service_client::JobServiceClient;
use punctual_proto::v1::run_service_client::RunServiceClient;
use punctual_proto::v1::worker_service_client::WorkerServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::recorder::Recorder;

/// A client of several schedulers: keeps to one, and moves on when it does not answer.
#[derive(Debug, Clone)]
pub struct Client {
    channels: Arc<Vec<Channel>>,
    current: Arc<AtomicUsize>,
    recorder: Option<Arc<Recorder>>,
    /// How long a call may take, moves included.
    deadline: Duration,
}

impl Client {
    /// A client of the schedulers at these URLs; it connects when it is first used.
    ///
    /// # Errors
    /// When a URL is none.
    pub fn new(servers: &[String]) -> anyhow::Result<Self> {
        let channels = servers.iter().map(|server| {
            let endpoint =
                Endpoint::from_shared(server.clone()).with_context(|| format!("`{server}` is no URL"))?;
            Ok(endpoint.connect_timeout(Duration::from_secs(1)).connect_lazy())
        });
        Ok(Self {
            channels: Arc::new(channels.collect::<anyhow::Result<_>>()?),
            current: Arc::default(),
            recorder: None,
            deadline: Duration::from_secs(30),
        })
    }

    /// The same, writing down every change it asks for.
    pub fn recorded(mut self, recorder: Arc<Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Calls on jobs as they are: one scheduler, one try, nothing written down.
    pub fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel())
    }

    /// Calls on runs as they are.
    pub fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel())
    }

    /// Calls of workers as they are.
    pub fn workers(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(self.channel())
    }

    fn channel(&self) -> Channel {
        self.channels[self.current.load(Ordering::Relaxed) % self.channels.len()].clone()
    }

    fn move_on(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }
}
