//! `punctual job`: definitions.

mod apply;
mod events;
mod explain;
mod export;
mod file;
mod reconcile;
mod show;
mod summary;
mod versions;

use std::str::FromStr;

use clap::{Args, Subcommand};
use punctual_proto::json::{from_value, to_value};
use punctual_proto::v1::{
    DeleteJobRequest, GetJobRequest, GetRunRequest, Job, ListJobsRequest, Overlap, PauseJobRequest,
    ResumeJobRequest, Run, TriggerJobRequest,
};
use serde_json::{Value, json};

use self::apply::ApplyArgs;
pub(crate) use self::apply::apply;
use self::events::EventsArgs;
use self::explain::ExplainArgs;
pub(crate) use self::file::{FileErrors, JobFile};
use self::reconcile::ReconcileArgs;
use self::versions::{RollbackArgs, VersionsArgs};
use crate::client::{Client, ClientArgs, jobs, request_id, runs};
use crate::failure::Failure;
use crate::payload::Payload;

const EXAMPLES: &str = "\
Examples:
  punctual job apply -f jobs.yaml          define jobs, or change them to what the file says
  punctual job list
  punctual job get nightly -o yaml         the definition, in the form that apply takes
  punctual job trigger nightly             run it now
  punctual job pause nightly --reason 'disk full' --until 2026-12-01T06:00:00Z
  punctual job resume nightly --catch-up   with what fell due meanwhile, as the misfire policy has it
  punctual job explain nightly --at 2026-11-25T03:00:00Z
                                           why it did, or did not, run then
  punctual job rollback nightly --to 3     the definition of version 3 again

A job file:
  jobs:
    - name: nightly
      schedule: { cron: '0 3 * * *', zone: Europe/Berlin }
      exec: { argv: [/usr/bin/rsync, -a, /srv/data, /backup] }";

/// `punctual job`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct JobArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: JobCommand,
}

#[derive(Debug, Subcommand)]
enum JobCommand {
    /// Create the jobs in files, or change them to what the files say
    Apply(ApplyArgs),
    /// List jobs by name
    List,
    /// Show jobs in full
    Get(NamesArgs),
    /// Run a job now, besides its schedule
    Trigger(TriggerArgs),
    /// Run the instants of a past range again
    Backfill(crate::backfill::CreateArgs),
    /// Stop planning runs. Runs already due still run
    Pause(PauseArgs),
    /// Go on planning, from now or from the pause on
    Resume(ResumeArgs),
    /// Delete jobs. Runs that have not started are cancelled
    Delete(NamesArgs),
    /// Print definitions as a job file
    Export(ExportArgs),
    /// Show how the definition of a job has changed, version by version
    Versions(VersionsArgs),
    /// Make an earlier definition of a job its newest version
    Rollback(RollbackArgs),
    /// Show what was done to a job, when and by whom
    Audit(EventsArgs),
    /// Say why a job did, or did not, run at an instant
    Explain(ExplainArgs),
    /// Compare the instants that a job's versions ask for with those on record
    Reconcile(ReconcileArgs),
}

#[derive(Debug, Args)]
struct NamesArgs {
    /// Names of the jobs
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct TriggerArgs {
    /// Name of the job
    name: String,

    /// Payload for this run in place of the job's: JSON
    #[arg(long, value_name = "JSON")]
    payload: Option<Payload>,

    /// What this run does while earlier ones are unfinished, in place of the job's overlap policy: allow, skip,
    /// queue_one, queue_all, cancel_running or kill_running
    #[arg(long, value_name = "POLICY")]
    overlap: Option<OverlapName>,

    /// Priority of this run in place of the job's: 0 to 9, the higher goes first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=9))]
    priority: Option<u32>,
}

#[derive(Debug, Args)]
struct PauseArgs {
    #[command(flatten)]
    names: NamesArgs,

    /// Why, for whoever wonders later
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,

    /// Go on by itself at this instant
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,

    /// Who pauses them
    #[arg(
        long,
        env = "USER",
        hide_env_values = true,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    by: String,
}

#[derive(Debug, Args)]
struct ResumeArgs {
    #[command(flatten)]
    names: NamesArgs,

    /// Plan what fell due since the pause, as the jobs' misfire policies have it
    #[arg(long)]
    catch_up: bool,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// Names of the jobs; all of them when none is given
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// An overlap policy by its name.
#[derive(Debug, Clone, Copy)]
struct OverlapName(i32);

impl FromStr for OverlapName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let job: Job = from_value(json!({ "overlap": name })).map_err(|error| error.kind.to_string())?;
        if job.overlap() == Overlap::Unspecified {
            return Err("that is no overlap policy".to_owned());
        }
        Ok(Self(job.overlap))
    }
}

impl JobArgs {
    /// Does what the command line says.
    ///
    /// # Errors
    /// When a file is wrong, no server answers, one refuses, or the output is not taken.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.client.open()?;
        match self.command {
            JobCommand::Apply(args) => args.run(&client).await,
            JobCommand::List => list(&client).await,
            JobCommand::Get(args) => get(&client, args).await,
            JobCommand::Trigger(args) => trigger(&client, args).await,
            JobCommand::Backfill(args) => args.run(&client).await,
            JobCommand::Pause(args) => pause(&client, args).await,
            JobCommand::Resume(args) => resume(&client, args).await,
            JobCommand::Delete(args) => delete(&client, args).await,
            JobCommand::Export(args) => export(&client, args).await,
            JobCommand::Versions(args) => args.run(&client).await,
            JobCommand::Rollback(args) => args.run(&client).await,
            JobCommand::Audit(args) => args.run(&client).await,
            JobCommand::Explain(args) => args.run(&client).await,
            JobCommand::Reconcile(args) => args.run(&client).await,
        }
    }
}

async fn list(client: &Client) -> Result<(), Failure> {
    let found = all(client).await?;
    let objects: Vec<Value> = found.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |style| show::list(&found, style))?)
}

async fn all(client: &Client) -> Result<Vec<Job>, Failure> {
    let mut found = Vec::new();
    let mut request =
        ListJobsRequest { namespace: client.namespace.clone(), page_size: 1_000, ..Default::default() };
    loop {
        let page = client.servers.call(async |link| jobs(link).list_jobs(request.clone()).await).await?;
        found.extend(page.jobs);
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        request.page_token = page.next_page_token;
    }
}

async fn get(client: &Client, args: NamesArgs) -> Result<(), Failure> {
    let found = named(client, args.names).await?;
    let objects: Vec<Value> = found.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |style| {
        found.iter().map(|job| show::one(job, style)).collect::<Vec<_>>().join("\n")
    })?)
}

async fn named(client: &Client, names: Vec<String>) -> Result<Vec<Job>, Failure> {
    let mut found = Vec::new();
    for name in names {
        let request = GetJobRequest { namespace: client.namespace.clone(), name };
        found.push(client.servers.call(async |link| jobs(link).get_job(request.clone()).await).await?);
    }
    Ok(found)
}

async fn trigger(client: &Client, args: TriggerArgs) -> Result<(), Failure> {
    let request = TriggerJobRequest {
        namespace: client.namespace.clone(),
        name: args.name.clone(),
        request_id: request_id(),
        payload: args.payload.map(|payload| payload.text()),
        overlap: args.overlap.map_or(0, |overlap| overlap.0),
        priority: args.priority,
    };
    let answer = client.servers.call(async |link| jobs(link).trigger_job(request.clone()).await).await?;
    let id = answer.run_id;
    let request = GetRunRequest { id: id.clone() };
    // The run exists by now, so not being able to look at it is no failure.
    let run = match client.servers.call(async |link| runs(link).get_run(request.clone()).await).await {
        Ok(run) => run,
        Err(_) => Run { id: id.clone(), job: args.name.clone(), ..Run::default() },
    };
    Ok(client.output.print(&[to_value(&run)], |_| format!("triggered {}: run {id}", args.name))?)
}

async fn pause(client: &Client, args: PauseArgs) -> Result<(), Failure> {
    // In the form of JSON, so that an instant is written the same everywhere.
    let until: PauseJobRequest = from_value(json!({ "until": args.until }))
        .map_err(|error| Failure::Usage(format!("--until: {}", error.kind)))?;
    let mut paused = Vec::new();
    for name in args.names.names {
        let request = PauseJobRequest {
            namespace: client.namespace.clone(),
            name,
            reason: args.reason.clone(),
            request_id: request_id(),
            until: until.until,
            by: args.by.clone(),
        };
        paused.push(client.servers.call(async |link| jobs(link).pause_job(request.clone()).await).await?);
    }
    print_changed(client, "paused", &paused)
}

async fn resume(client: &Client, args: ResumeArgs) -> Result<(), Failure> {
    let mut resumed = Vec::new();
    for name in args.names.names {
        let (namespace, catch_up) = (client.namespace.clone(), args.catch_up);
        let request = ResumeJobRequest { namespace, name, request_id: request_id(), catch_up };
        resumed.push(client.servers.call(async |link| jobs(link).resume_job(request.clone()).await).await?);
    }
    print_changed(client, "resumed", &resumed)
}

fn print_changed(client: &Client, done: &str, changed: &[Job]) -> Result<(), Failure> {
    let objects: Vec<Value> = changed.iter().map(to_value).collect();
    Ok(client
        .output
        .print(&objects, |_| changed.iter().map(|job| format!("{done} {}\n", job.name)).collect())?)
}

async fn delete(client: &Client, args: NamesArgs) -> Result<(), Failure> {
    for name in &args.names {
        let request = DeleteJobRequest {
            namespace: client.namespace.clone(),
            name: name.clone(),
            request_id: request_id(),
            ..Default::default()
        };
        client.servers.call(async |link| jobs(link).delete_job(request.clone()).await).await?;
    }
    let objects: Vec<Value> =
        args.names.iter().map(|name| json!({ "name": name, "state": "deleted" })).collect();
    Ok(client
        .output
        .print(&objects, |_| args.names.iter().map(|name| format!("deleted {name}\n")).collect())?)
}

async fn export(client: &Client, args: ExportArgs) -> Result<(), Failure> {
    let found = if args.names.is_empty() { all(client).await? } else { named(client, args.names).await? };
    let definitions: Vec<Value> = found.into_iter().map(export::definition).collect();
    Ok(client.output.print(&definitions, |_| export::job_file(&definitions))?)
}
