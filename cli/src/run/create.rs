use std::time::Duration;

use clap::{ArgGroup, Args};
use punctual_proto::json::to_value;
use punctual_proto::v1::{
    Concurrency, CreateRunRequest, ExecTask, Retry, Timeouts, create_run_request::Task,
};

use crate::client::{Client, request_id, runs};
use crate::failure::Failure;
use crate::payload::Payload;

/// `punctual run create`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("task").required(true).args(["kind", "argv"]))]
pub(super) struct CreateArgs {
    /// Kind of handler that executes it
    #[arg(long)]
    kind: Option<String>,

    /// Handed to the handler: JSON
    #[arg(long, value_name = "JSON", requires = "kind")]
    payload: Option<Payload>,

    /// Program to run and its arguments
    #[arg(value_name = "PROGRAM", last = true)]
    argv: Vec<String>,

    /// Variable for the program. Repeat it for several
    #[arg(long, value_name = "NAME=VALUE", requires = "argv", value_parser = variable)]
    env: Vec<(String, String)>,

    /// Directory the program runs in; the worker's own when not given
    #[arg(long, value_name = "DIR", requires = "argv", default_value = "", hide_default_value = true)]
    working_dir: String,

    /// Queue the run waits in; `default` when not given
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    task_queue: String,

    /// 0 to 9; the higher goes first in its task queue. 5 when not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=9))]
    priority: Option<u32>,

    /// Runs with the same key share its places. May hold parts of the payload: `customer-{payload.customer}`
    #[arg(long, value_name = "KEY")]
    concurrency_key: Option<String>,

    /// How many runs with the key go on at a time
    #[arg(long, value_name = "N", requires = "concurrency_key", default_value = "1")]
    concurrency_limit: u32,

    /// Not before this instant; now when not given
    #[arg(long, value_name = "INSTANT")]
    run_at: Option<prost_types::Timestamp>,

    /// Tries in all; the server's default when not given
    #[arg(long, value_name = "N")]
    max_tries: Option<u32>,

    /// How long one attempt may take; the server's default when not given
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    start_to_close: Option<Duration>,

    /// Creates the run once, however often the command is repeated with the same id
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

impl CreateArgs {
    /// Creates the run and prints it.
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let request = self.request(client.namespace.clone())?;
        let run = client.servers.call(async |link| runs(link).create_run(request.clone()).await).await?;
        Ok(client.output.print(&[to_value(&run)], |_| format!("created run {}", run.id))?)
    }

    fn request(self, namespace: String) -> Result<CreateRunRequest, Failure> {
        let task = match self.kind {
            Some(kind) => Task::Kind(kind),
            None => Task::Exec(ExecTask {
                argv: self.argv,
                env: self.env.into_iter().collect(),
                working_dir: self.working_dir,
            }),
        };
        let start_to_close = self
            .start_to_close
            .map(prost_types::Duration::try_from)
            .transpose()
            .map_err(|error| Failure::Usage(format!("--start-to-close: {error}")))?;
        Ok(CreateRunRequest {
            namespace,
            task_queue: self.task_queue,
            task: Some(task),
            payload: self.payload.map(|payload| payload.text()).unwrap_or_default(),
            run_at: self.run_at,
            retry: self.max_tries.map(|max_tries| Retry { max_tries, ..Retry::default() }),
            timeouts: start_to_close
                .map(|limit| Timeouts { start_to_close: Some(limit), ..Timeouts::default() }),
            request_id: self.request_id.unwrap_or_else(request_id),
            priority: self.priority,
            concurrency: self.concurrency_key.map(|key| Concurrency { key, limit: self.concurrency_limit }),
        })
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}
