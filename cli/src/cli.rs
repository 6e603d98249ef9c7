use clap::{Parser, Subcommand};
use punctual_queue_lookup::options::LookupOptions;
use punctual_scheduler::SchedulerOptions;
use punctual_worker::WorkerOptions;

use crate::backfill::BackfillArgs;
use crate::calendar::CalendarArgs;
use crate::dev::DevArgs;
use crate::failure::Failure;
use crate::job::JobArgs;
use crate::namespace::NamespaceArgs;
use crate::queue::QueueArgs;
use crate::role::{MigrateArgs, RoleArgs};
use crate::run::RunArgs;
use crate::schedule::ScheduleArgs;
use crate::task_queue::TaskQueueArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the server refused, or something failed
  2  the command line, or a file named on it, is wrong
  3  there is no such job, run, calendar or namespace
  4  no server could be reached in time
  5  not allowed: the token is missing, wrong or not enough
  6  the run that was watched did not succeed
  7  a queue node's files are damaged
  8  a queue node's files hold what this release does not understand";

/// A distributed task scheduler on an NSQ-style queue, in one binary.
#[derive(Debug, Parser)]
#[command(name = "punctual", version, after_help = EXIT_CODES, max_term_width = 110)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process, on a Postgres of its own, to develop or to try it out
    Dev(DevArgs),
    /// Run a scheduler: gRPC and HTTP for people and workers, planning, publishing
    Scheduler(RoleArgs<SchedulerOptions>),
    /// Run a queue node: NSQ's protocol on a durable log
    Queue(Box<QueueArgs>),
    /// Run a lookup: tells which queue nodes there are
    Lookup(RoleArgs<LookupOptions>),
    /// Run a worker: executes programs, as far as --allow-exec lets it
    Worker(Box<RoleArgs<WorkerOptions>>),
    /// Bring the database's schema to this release
    Migrate(MigrateArgs),
    /// Define jobs, look at them, and trigger, pause, resume or delete them
    Job(JobArgs),
    /// Look at runs, follow them, create one-off runs, cancel
    Run(RunArgs),
    /// Look at past instants that are being run again, and stop that
    Backfill(BackfillArgs),
    /// Ask when a schedule would run, before anything is saved
    Schedule(Box<ScheduleArgs>),
    /// Keep calendars of days and hours in which schedules do not run
    Calendar(CalendarArgs),
    /// Make, list and delete namespaces
    Namespace(NamespaceArgs),
    /// Look at task queues, pause and resume them
    TaskQueue(TaskQueueArgs),
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// With what the process should say and exit with.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Dev(args) => args.run().await,
            Command::Scheduler(args) => args.run().await,
            Command::Queue(args) => args.run().await,
            Command::Lookup(args) => args.run().await,
            Command::Worker(args) => args.run().await,
            Command::Migrate(args) => args.run().await,
            Command::Job(args) => args.run().await,
            Command::Run(args) => args.run().await,
            Command::Backfill(args) => args.run().await,
            Command::Schedule(args) => args.run().await,
            Command::Calendar(args) => args.run().await,
            Command::Namespace(args) => args.run().await,
            Command::TaskQueue(args) => args.run().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
