//! `punctual backfill`: past instants of jobs, run again.

mod show;

use clap::{Args, Subcommand};
use punctual_proto::json::{from_value, to_value};
use punctual_proto::v1::{
    Backfill, CancelBackfillRequest, CreateBackfillRequest, GetBackfillRequest, Job, ListBackfillsRequest,
};
use serde_json::{Value, json};

use crate::client::{Client, ClientArgs, backfills, request_id};
use crate::failure::Failure;

/// The most backfills a server gives at once.
const PAGE: u32 = 1_000;

const EXAMPLES: &str = "\
Examples:
  punctual job backfill nightly --from 2026-03-01T00:00:00Z --until 2026-03-08T00:00:00Z --dry-run
  punctual backfill list --job nightly
  punctual backfill show 0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a      how far it is
  punctual backfill cancel 0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a";

/// `punctual backfill`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BackfillArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: BackfillCommand,
}

#[derive(Debug, Subcommand)]
enum BackfillCommand {
    /// List backfills, newest first
    List(ListArgs),
    /// Show backfills with their progress
    Show(IdsArgs),
    /// Stop backfills, and cancel their runs that have not started
    Cancel(CancelArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only backfills of this job
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    job: String,

    /// List at most this many
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

#[derive(Debug, Args)]
struct IdsArgs {
    /// Ids of the backfills
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

#[derive(Debug, Args)]
struct CancelArgs {
    #[command(flatten)]
    ids: IdsArgs,

    /// Why, for whoever wonders later
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

/// `punctual job backfill`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name of the job
    name: String,

    /// The first instant that may run, such as 2026-03-01T00:00:00Z
    #[arg(long, value_name = "INSTANT")]
    from: prost_types::Timestamp,

    /// No instants at or after this one
    #[arg(long, value_name = "INSTANT")]
    until: prost_types::Timestamp,

    /// Overlap policy of its runs, in the words of a job file; queue_all when not given
    #[arg(long, value_name = "POLICY")]
    overlap: Option<String>,

    /// Say how many runs that would be, and the first of them, and make none
    #[arg(long)]
    dry_run: bool,
}

impl BackfillArgs {
    /// Does what the command line says.
    ///
    /// # Errors
    /// When no server answers, one refuses, or the output is not taken.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.client.open()?;
        match self.command {
            BackfillCommand::List(args) => list(&client, args).await,
            BackfillCommand::Show(args) => one_by_one(&client, args).await,
            BackfillCommand::Cancel(args) => cancel(&client, args).await,
        }
    }
}

impl CreateArgs {
    /// Asks for the backfill, or only for what it would be, and prints it.
    pub(crate) async fn run(self, client: &Client) -> Result<(), Failure> {
        let overlap = match self.overlap {
            None => 0,
            Some(policy) => {
                let job: Job = from_value(json!({ "overlap": policy }))
                    .map_err(|error| Failure::Usage(format!("--overlap: {}", error.kind)))?;
                job.overlap
            }
        };
        let request = CreateBackfillRequest {
            namespace: client.namespace.clone(),
            job: self.name.clone(),
            from: Some(self.from),
            until: Some(self.until),
            overlap,
            dry_run: self.dry_run,
            request_id: request_id(),
        };
        let answer =
            client.servers.call(async |link| backfills(link).create_backfill(request.clone()).await).await?;
        Ok(client.output.print(&[to_value(&answer)], |_| show::answer(&self.name, &answer))?)
    }
}

async fn list(client: &Client, args: ListArgs) -> Result<(), Failure> {
    let request = ListBackfillsRequest {
        namespace: client.namespace.clone(),
        job: args.job,
        page_size: args.limit.min(PAGE),
        ..Default::default()
    };
    let page =
        client.servers.call(async |link| backfills(link).list_backfills(request.clone()).await).await?;
    let objects: Vec<Value> = page.backfills.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |style| show::list(&page.backfills, style))?)
}

async fn one_by_one(client: &Client, args: IdsArgs) -> Result<(), Failure> {
    let mut found: Vec<Backfill> = Vec::new();
    for id in args.ids {
        let request = GetBackfillRequest { id };
        found.push(
            client.servers.call(async |link| backfills(link).get_backfill(request.clone()).await).await?,
        );
    }
    let objects: Vec<Value> = found.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |style| {
        found.iter().map(|backfill| show::one(backfill, style)).collect::<Vec<_>>().join("\n")
    })?)
}

async fn cancel(client: &Client, args: CancelArgs) -> Result<(), Failure> {
    let mut found = Vec::new();
    for id in args.ids.ids {
        let request = CancelBackfillRequest { id, reason: args.reason.clone(), request_id: request_id() };
        found.push(
            client.servers.call(async |link| backfills(link).cancel_backfill(request.clone()).await).await?,
        );
    }
    let objects: Vec<Value> = found.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |_| found.iter().map(show::cancelled).collect())?)
}
