//! `punctual schedule`: when something would run.

use clap::{ArgGroup, Args, Subcommand};
use comfy_table::Cell;
use punctual_proto::json::{JsonMessage, from_value, to_value};
use punctual_proto::v1::preview_schedule_response::Occurrence;
use punctual_proto::v1::{PreviewScheduleRequest, Schedule};
use serde_json::{Map, Value};

use crate::client::{Client, ClientArgs, jobs};
use crate::failure::Failure;
use crate::output::{Style, instant, table};

/// How many instants are shown when nothing else limits them.
const DEFAULT_COUNT: u32 = 10;
/// The most a server gives at once.
const MAX_COUNT: u32 = 10_000;

const EXAMPLES: &str = "\
Examples:
  punctual schedule preview --cron '0 9 * * MON-FRI' --zone Europe/Berlin
  punctual schedule preview --cron '30 2 * * *' --zone America/New_York \\
      --from 2026-03-07T00:00:00Z --until 2026-03-10T00:00:00Z -o json
  punctual schedule preview --every 90m --phase 5m --count 3
  punctual schedule preview --cron '0 0 12 ? * 6L' --dialect quartz
  punctual schedule preview --rrule 'DTSTART:20260105T090000 RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO' --exclude holidays";

/// `punctual schedule`.
#[derive(Debug, Args)]
pub(crate) struct ScheduleArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: ScheduleCommand,
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// Print the instants of a schedule, without saving anything
    Preview(PreviewArgs),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("when").required(true).args(["cron", "every", "at", "delay", "rrule"]))]
struct PreviewArgs {
    /// Five fields: minute, hour, day of month, month, day of week; with --dialect others
    #[arg(long)]
    cron: Option<String>,

    /// How --cron is written; standard when not given
    #[arg(long, value_parser = ["standard", "seconds_first", "year_last", "quartz"])]
    dialect: Option<String>,

    /// Which days match when both day fields of --cron are restricted; or when not given
    #[arg(long, value_parser = ["or", "and"])]
    dom_dow: Option<String>,

    /// Interval, counted from the epoch: 90s, 5m, 1h 30m
    #[arg(long, value_name = "DURATION")]
    every: Option<String>,

    /// Once: an instant, or a local time in the zone
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// This long after the end of the job's last run: 5m
    #[arg(long, value_name = "DURATION")]
    delay: Option<String>,

    /// Recurrence rule of iCalendar: 'DTSTART:20260105T090000 RRULE:FREQ=WEEKLY;BYDAY=MO'
    #[arg(long, value_name = "LINES")]
    rrule: Option<String>,

    /// IANA name of the time zone; UTC when not given
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,

    /// Moves an interval's instants: 5m with --every 1h runs at five past
    #[arg(long, value_name = "DURATION")]
    phase: Option<String>,

    /// No instants of the schedule before this one
    #[arg(long, value_name = "INSTANT")]
    start: Option<String>,

    /// No instants of the schedule at or after this one
    #[arg(long, value_name = "INSTANT")]
    end: Option<String>,

    /// What a fixed local time does on the day it does not exist; shift when not given
    #[arg(long, value_parser = ["shift", "skip"])]
    dst_gap: Option<String>,

    /// What a fixed local time does on the day it exists twice; first when not given
    #[arg(long, value_parser = ["first", "last", "both"])]
    dst_fold: Option<String>,

    /// Runs begin up to this much later, each job's at a time of its own
    #[arg(long, value_name = "DURATION")]
    jitter: Option<String>,

    /// How many instants the schedule has in all, from --start on, or else from --from
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_count: Option<u32>,

    /// Calendar in whose days and hours it does not run; may be repeated
    #[arg(long, value_name = "CALENDAR")]
    exclude: Vec<String>,

    /// Show instants from this one on; the server's now when not given
    #[arg(long, value_name = "INSTANT")]
    from: Option<String>,

    /// Show instants before this one
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,

    /// Show at most this many; 10 when not given, with --until all up to 10000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_COUNT)))]
    count: Option<u32>,
}

impl ScheduleArgs {
    /// Does what the command line says.
    ///
    /// # Errors
    /// When a value is wrong, no server answers, one refuses, or the output is not taken.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.client.open()?;
        match self.command {
            ScheduleCommand::Preview(args) => preview(&client, args).await,
        }
    }
}

async fn preview(client: &Client, args: PreviewArgs) -> Result<(), Failure> {
    let request = args.request(&client.namespace)?;
    let answer = client.servers.call(async |link| jobs(link).preview_schedule(request.clone()).await).await?;
    let objects: Vec<Value> = answer.occurrences.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |style| occurrences(&answer.occurrences, style))?)
}

impl PreviewArgs {
    /// The values in the form of a job file, so that both mean the same.
    fn request(self, namespace: &str) -> Result<PreviewScheduleRequest, Failure> {
        let count = self.count.unwrap_or(if self.until.is_some() { MAX_COUNT } else { DEFAULT_COUNT });
        let schedule: Schedule = read([
            ("cron", self.cron),
            ("dialect", self.dialect),
            ("dom_dow", self.dom_dow),
            ("every", self.every),
            ("at", self.at),
            ("delay", self.delay),
            ("rrule", self.rrule),
            ("zone", self.zone),
            ("phase", self.phase),
            ("start", self.start),
            ("end", self.end),
            ("dst_gap", self.dst_gap),
            ("dst_fold", self.dst_fold),
            ("jitter", self.jitter),
        ])?;
        let (exclude, max_count) = (self.exclude, self.max_count.unwrap_or(0));
        let schedule = Schedule { exclude, max_count, ..schedule };
        let range: PreviewScheduleRequest = read([("from", self.from), ("until", self.until)])?;
        let namespace = namespace.to_owned();
        Ok(PreviewScheduleRequest { schedule: vec![schedule], count, namespace, ..range })
    }
}

fn read<M, const N: usize>(fields: [(&str, Option<String>); N]) -> Result<M, Failure>
where
    M: JsonMessage,
{
    let given: Map<String, Value> =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
    from_value(given.into())
        .map_err(|error| Failure::Usage(format!("--{}: {}", error.path.replace('_', "-"), error.kind)))
}

fn occurrences(occurrences: &[Occurrence], style: Style) -> String {
    if occurrences.is_empty() {
        return "No instants.".to_owned();
    }
    let rows = occurrences.iter().map(|occurrence| {
        vec![
            Cell::new(instant(occurrence.at.as_ref())),
            Cell::new(&occurrence.local),
            Cell::new(&occurrence.note),
        ]
    });
    table(style, &["AT", "LOCAL", "NOTE"], rows)
}
