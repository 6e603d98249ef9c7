//! Calls on jobs.

use punctual_proto::v1::{
    ApplyJobRequest, DeleteJobRequest, GetJobRequest, Job, PauseJobRequest, ResumeJobRequest,
    TriggerJobRequest,
};
use punctual_verify::history::{Call, What};
use tonic::Status;
use uuid::Uuid;

use super::Client;
use crate::definition::checkers_view;

impl Client {
    /// Creates or updates a job; `witness` says that its code is seen by the witness.
    ///
    /// # Errors
    /// A refusal, or no answer in time; so for all calls.
    pub async fn apply(&self, job: Job, witness: bool) -> Result<Job, Status> {
        let asked =
            Call { job: Some(job.name.clone()), spec: Some(checkers_view(&job)), witness, ..Call::default() };
        let request = ApplyJobRequest { job: Some(job), request_id: request_id() };
        let told = |job: &Job| Call { ver: Some(job.version), ..Call::default() };
        self.ask_recorded(What::JobPut, asked, told, request, |client, request| async move {
            let answer = client.jobs().apply_job(request).await?.into_inner();
            answer.job.ok_or_else(|| Status::data_loss("an answer without its job"))
        })
        .await
    }

    /// Pauses a job.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub async fn pause(&self, name: &str) -> Result<Job, Status> {
        let request =
            PauseJobRequest { name: name.to_owned(), request_id: request_id(), ..Default::default() };
        self.ask_recorded(
            What::JobPause,
            of_job(name),
            |_| Call::default(),
            request,
            |client, request| async move { Ok(client.jobs().pause_job(request).await?.into_inner()) },
        )
        .await
    }

    /// Resumes a job.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub async fn resume(&self, name: &str) -> Result<Job, Status> {
        let request =
            ResumeJobRequest { name: name.to_owned(), request_id: request_id(), ..Default::default() };
        self.ask_recorded(
            What::JobResume,
            of_job(name),
            |_| Call::default(),
            request,
            |client, request| async move { Ok(client.jobs().resume_job(request).await?.into_inner()) },
        )
        .await
    }

    /// Deletes a job.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub async fn delete(&self, name: &str) -> Result<(), Status> {
        let request =
            DeleteJobRequest { name: name.to_owned(), request_id: request_id(), ..Default::default() };
        self.ask_recorded(
            What::JobDelete,
            of_job(name),
            |()| Call::default(),
            request,
            |client, request| async move { client.jobs().delete_job(request).await.map(|_| ()) },
        )
        .await
    }

    /// Triggers a job and gives the run's id.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub async fn trigger(&self, name: &str) -> Result<String, Status> {
        let request_id = request_id();
        let request =
            TriggerJobRequest { name: name.to_owned(), request_id: request_id.clone(), ..Default::default() };
        let asked = Call { request_id: Some(request_id), ..of_job(name) };
        let told = |run: &String| Call { run: Some(run.clone()), ..Call::default() };
        self.ask_recorded(What::JobTrigger, asked, told, request, |client, request| async move {
            Ok(client.jobs().trigger_job(request).await?.into_inner().run_id)
        })
        .await
    }

    /// Reads a job.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub async fn job(&self, name: &str) -> Result<Job, Status> {
        let request = GetJobRequest { name: name.to_owned(), ..Default::default() };
        self.ask(
            request,
            |client, request| async move { Ok(client.jobs().get_job(request).await?.into_inner()) },
        )
        .await
    }
}

fn of_job(name: &str) -> Call {
    Call { job: Some(name.to_owned()), ..Call::default() }
}

/// So that a repeated call is known for one.
pub(super) fn request_id() -> String {
    Uuid::new_v4().to_string()
}
