//! Calls on runs.

use std::time::Duration;

use punctual_proto::v1::{CancelRunRequest, CreateRunRequest, GetRunRequest, ListRunsRequest, Run, RunState};
use punctual_verify::history::{Call, What};
use tonic::Status;

use super::Client;
use super::jobs::request_id;
use crate::wait::until;

impl Client {
    /// Creates a one-off run; `witness` says that its code is seen by the witness.
    ///
    /// # Errors
    /// A refusal, or no answer in time; so for all calls.
    pub async fn create_run(&self, request: CreateRunRequest, witness: bool) -> Result<Run, Status> {
        let request_id = request_id();
        let request = CreateRunRequest { request_id: request_id.clone(), ..request };
        let asked = Call { request_id: Some(request_id), witness, ..Call::default() };
        let told = |run: &Run| Call { run: Some(run.id.clone()), ..Call::default() };
        self.ask_recorded(What::RunCreate, asked, told, request, |client, request| async move {
            Ok(client.runs().create_run(request).await?.into_inner())
        })
        .await
    }

    /// Asks for the end of a run.
    ///
    /// # Errors
    /// As [`create_run`](Self::create_run).
    pub async fn cancel_run(&self, id: &str) -> Result<Run, Status> {
        let request = CancelRunRequest { id: id.to_owned(), ..Default::default() };
        let asked = Call { run: Some(id.to_owned()), ..Call::default() };
        self.ask_recorded(
            What::RunCancel,
            asked,
            |_| Call::default(),
            request,
            |client, request| async move { Ok(client.runs().cancel_run(request).await?.into_inner()) },
        )
        .await
    }

    /// Reads a run.
    ///
    /// # Errors
    /// As [`create_run`](Self::create_run).
    pub async fn run(&self, id: &str) -> Result<Run, Status> {
        let request = GetRunRequest { id: id.to_owned() };
        self.ask(
            request,
            |client, request| async move { Ok(client.runs().get_run(request).await?.into_inner()) },
        )
        .await
    }

    /// Lists the latest runs of a job.
    ///
    /// # Errors
    /// As [`create_run`](Self::create_run).
    pub async fn runs_of(&self, job: &str) -> Result<Vec<Run>, Status> {
        let request = ListRunsRequest { job: job.to_owned(), page_size: 1_000, ..Default::default() };
        self.ask(request, |client, request| async move {
            Ok(client.runs().list_runs(request).await?.into_inner().runs)
        })
        .await
    }

    /// Waits until a run is in a state.
    ///
    /// # Errors
    /// When it does not come to that in time.
    pub async fn run_becomes(&self, id: &str, state: RunState, within: Duration) -> anyhow::Result<Run> {
        let what = format!("run {id} to be {}", state.as_str_name());
        until(&what, within, async || match self.run(id).await {
            Ok(run) if run.state() == state => Ok(run),
            Ok(run) => Err(format!("{run:?}")),
            Err(status) => Err(status.to_string()),
        })
        .await
    }
}
