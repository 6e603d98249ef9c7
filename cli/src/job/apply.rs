use std::io::{self, Write};

use clap::Args;
use comfy_table::Cell;
use punctual_proto::json::to_value;
use punctual_proto::v1::apply_job_response::Outcome;
use punctual_proto::v1::{ApplyJobRequest, ApplyJobResponse, Job};
use serde_json::Value;

use super::file::{JobFile, Source};
use crate::client::{Client, jobs, request_id};
use crate::failure::{ExitStatus, Failure};
use crate::output::{Style, table};

/// `punctual job apply`.
#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// File of jobs, folder of such files, or - for standard input. Repeat it for several
    #[arg(short, long = "file", value_name = "FILE|DIR|-", required = true)]
    file: Vec<Source>,
}

impl ApplyArgs {
    /// Applies every job of the files. Nothing is sent before all files have been read; a job that is refused does
    /// not keep the others from being applied.
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let files = JobFile::read_all(&self.file, &client.namespace)?;
        let mut applied = Vec::new();
        let mut refused = false;
        for file in files {
            for job in file.jobs {
                let named =
                    if job.name.is_empty() { "a job without a name".to_owned() } else { job.name.clone() };
                match apply(client, job).await {
                    Ok(answer) => applied.push(answer),
                    Err(Failure::Refused(refusal)) if is_about_the_job(refusal.code()) => {
                        refused = true;
                        for line in refusal.lines() {
                            writeln!(io::stderr(), "error: {}: {named}: {line}", file.name)?;
                        }
                    }
                    // The next job would fare no better.
                    Err(failure) => {
                        print(client, &applied)?;
                        return Err(failure);
                    }
                }
            }
        }
        print(client, &applied)?;
        if refused { Err(Failure::Said(ExitStatus::Failed)) } else { Ok(()) }
    }
}

/// Applies one job.
///
/// # Errors
/// When no server answers, or one refuses.
pub(crate) async fn apply(client: &Client, job: Job) -> Result<ApplyJobResponse, Failure> {
    let request = ApplyJobRequest { job: Some(job), request_id: request_id() };
    client.servers.call(async |link| jobs(link).apply_job(request.clone()).await).await
}

fn is_about_the_job(code: tonic::Code) -> bool {
    !matches!(code, tonic::Code::Unauthenticated | tonic::Code::PermissionDenied | tonic::Code::Unimplemented)
}

fn print(client: &Client, applied: &[ApplyJobResponse]) -> Result<(), Failure> {
    let objects: Vec<Value> = applied.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |style| outcomes(applied, style))?)
}

fn outcomes(applied: &[ApplyJobResponse], style: Style) -> String {
    if applied.is_empty() {
        return String::new();
    }
    let rows = applied.iter().map(|answer| {
        let outcome = match answer.outcome() {
            Outcome::Created => "created",
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
            Outcome::Unspecified => "applied",
        };
        let job = answer.job.as_ref();
        vec![
            Cell::new(job.map_or("", |job| job.name.as_str())),
            style.state(outcome),
            Cell::new(job.map(|job| format!("version {}", job.version)).unwrap_or_default()),
        ]
    });
    table(style, &["JOB", "OUTCOME", ""], rows)
}
