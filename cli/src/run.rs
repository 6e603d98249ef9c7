//! `punctual run`: due occurrences of jobs, and one-off tasks.

mod board;
mod create;
mod show;
mod watch;

use std::str::FromStr;

use clap::{Args, Subcommand};
use punctual_proto::json::{from_value, to_value};
use punctual_proto::v1::{CancelRunRequest, GetRunRequest, ListRunsRequest, Run, RunState};
use serde_json::{Value, json};

use self::create::CreateArgs;
pub(crate) use self::show::one as details;
use self::watch::WatchArgs;
pub(crate) use self::watch::{Watch, watch};
use crate::client::{Client, ClientArgs, runs};
use crate::failure::Failure;

/// The most runs a server gives at once.
const PAGE: u32 = 1_000;

const EXAMPLES: &str = "\
Examples:
  punctual run list --job nightly --state failed
  punctual run get 0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a     attempts, errors and output included
  punctual run watch                                        every run as it changes, until Ctrl-C
  punctual run create -- /usr/bin/du -sh /srv               a one-off run, now
  punctual run cancel 0197f3a0-5b7e-7cc1-9f00-5d2c6f1f2b3a";

/// `punctual run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: RunCommand,
}

#[derive(Debug, Subcommand)]
enum RunCommand {
    /// List runs, latest due first
    List(ListArgs),
    /// Show runs in full, with their attempts and the end of their output
    Get(IdsArgs),
    /// Follow runs as they change
    Watch(WatchArgs),
    /// Create a one-off run of a program or of a kind
    Create(Box<CreateArgs>),
    /// Ask runs to end
    Cancel(CancelArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only runs of this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,

    /// Only runs in this state. Repeat it, or separate several by commas
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    state: Vec<State>,

    /// List at most this many
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Debug, Args)]
struct IdsArgs {
    /// Ids of the runs
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

/// A run's state by its name.
#[derive(Debug, Clone, Copy)]
struct State(i32);

impl FromStr for State {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let run: Run = from_value(json!({ "state": name })).map_err(|error| error.kind.to_string())?;
        if run.state() == RunState::Unspecified {
            return Err("that is no state a run can be in".to_owned());
        }
        Ok(Self(run.state))
    }
}

impl RunArgs {
    /// Does what the command line says.
    ///
    /// # Errors
    /// When a value is wrong, no server answers, one refuses, or the output is not taken.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.client.open()?;
        match self.command {
            RunCommand::List(args) => list(&client, args).await,
            RunCommand::Get(args) => get(&client, args).await,
            RunCommand::Watch(args) => args.run(&client).await,
            RunCommand::Create(args) => args.run(&client).await,
            RunCommand::Cancel(args) => cancel(&client, args).await,
        }
    }
}

async fn list(client: &Client, args: ListArgs) -> Result<(), Failure> {
    let mut found: Vec<Run> = Vec::new();
    let mut request = ListRunsRequest {
        namespace: client.namespace.clone(),
        job: args.job.unwrap_or_default(),
        states: args.state.iter().map(|state| state.0).collect(),
        ..Default::default()
    };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    while found.len() < limit {
        let left = u32::try_from(limit - found.len()).unwrap_or(PAGE);
        request.page_size = left.min(PAGE);
        let page = client.servers.call(async |link| runs(link).list_runs(request.clone()).await).await?;
        found.extend(page.runs);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    found.truncate(limit);
    let objects: Vec<Value> = found.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |style| show::list(&found, style))?)
}

async fn get(client: &Client, args: IdsArgs) -> Result<(), Failure> {
    let mut found = Vec::new();
    for id in args.ids {
        let request = GetRunRequest { id };
        found.push(client.servers.call(async |link| runs(link).get_run(request.clone()).await).await?);
    }
    let objects: Vec<Value> = found.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |style| {
        found.iter().map(|run| show::one(run, style)).collect::<Vec<_>>().join("\n")
    })?)
}

async fn cancel(client: &Client, args: CancelArgs) -> Result<(), Failure> {
    let mut asked = Vec::new();
    for id in args.ids.ids {
        let request = CancelRunRequest { id, reason: args.reason.clone() };
        asked.push(client.servers.call(async |link| runs(link).cancel_run(request.clone()).await).await?);
    }
    let objects: Vec<Value> = asked.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |_| asked.iter().map(show::cancelled).collect())?)
}
