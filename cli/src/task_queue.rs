//! `punctual task-queue`: where runs wait for a worker.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use punctual_proto::json::to_value;
use punctual_proto::v1::{ListTaskQueuesRequest, PauseTaskQueueRequest, ResumeTaskQueueRequest, TaskQueue};
use serde_json::Value;

use crate::client::{Client, ClientArgs, task_queues};
use crate::failure::Failure;
use crate::output::{Style, instant, table};

const EXAMPLES: &str = "\
Examples:
  punctual task-queue list
  punctual task-queue pause reports --reason 'the warehouse is down'
  punctual task-queue resume reports";

/// `punctual task-queue`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TaskQueueArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: TaskQueueCommand,
}

#[derive(Debug, Subcommand)]
enum TaskQueueCommand {
    /// List task queues by name
    List,
    /// Block what falls due. What is queued or running goes on
    Pause(PauseArgs),
    /// Let what was blocked go on
    Resume(NamesArgs),
}

#[derive(Debug, Args)]
struct NamesArgs {
    /// Names of the task queues
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct PauseArgs {
    #[command(flatten)]
    names: NamesArgs,

    /// Why, for whoever wonders later
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

impl TaskQueueArgs {
    /// Does what the command line says.
    ///
    /// # Errors
    /// When a value is wrong, no server answers, one refuses, or the output is not taken.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.client.open()?;
        match self.command {
            TaskQueueCommand::List => list(&client).await,
            TaskQueueCommand::Pause(args) => pause(&client, args).await,
            TaskQueueCommand::Resume(args) => resume(&client, args).await,
        }
    }
}

async fn list(client: &Client) -> Result<(), Failure> {
    let request = ListTaskQueuesRequest { namespace: client.namespace.clone() };
    let answer =
        client.servers.call(async |link| task_queues(link).list_task_queues(request.clone()).await).await?;
    let found = answer.task_queues;
    let objects: Vec<Value> = found.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |style| show(&found, style))?)
}

fn show(queues: &[TaskQueue], style: Style) -> String {
    if queues.is_empty() {
        return "No task queue has had work yet.".to_owned();
    }
    let rows = queues.iter().map(|queue| {
        vec![
            Cell::new(&queue.name),
            style.state(if queue.paused_at.is_some() { "paused" } else { "active" }),
            Cell::new(queue.queued),
            Cell::new(queue.places),
            Cell::new(instant(queue.paused_at.as_ref())),
            Cell::new(&queue.pause_reason),
        ]
    });
    table(style, &["NAME", "STATE", "QUEUED", "PLACES", "SINCE", "WHY"], rows)
}

async fn pause(client: &Client, args: PauseArgs) -> Result<(), Failure> {
    let mut paused = Vec::new();
    for name in args.names.names {
        let request =
            PauseTaskQueueRequest { namespace: client.namespace.clone(), name, reason: args.reason.clone() };
        let call = async |link| task_queues(link).pause_task_queue(request.clone()).await;
        paused.push(client.servers.call(call).await?);
    }
    print_changed(client, "paused", &paused)
}

async fn resume(client: &Client, args: NamesArgs) -> Result<(), Failure> {
    let mut resumed = Vec::new();
    for name in args.names {
        let request = ResumeTaskQueueRequest { namespace: client.namespace.clone(), name };
        let call = async |link| task_queues(link).resume_task_queue(request.clone()).await;
        resumed.push(client.servers.call(call).await?);
    }
    print_changed(client, "resumed", &resumed)
}

fn print_changed(client: &Client, done: &str, changed: &[TaskQueue]) -> Result<(), Failure> {
    let objects: Vec<Value> = changed.iter().map(to_value).collect();
    let lines: String = changed.iter().map(|queue| format!("{done} {}\n", queue.name)).collect();
    Ok(client.output.print(&objects, |_| lines)?)
}
