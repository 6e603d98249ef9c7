//! `punctual calendar`: days and hours in which schedules do not run.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::Cell;
use punctual_proto::json::to_value;
use punctual_proto::v1::calendar_service_client::CalendarServiceClient;
use punctual_proto::v1::{
    Calendar, DeleteCalendarRequest, GetCalendarRequest, ListCalendarsRequest, PutCalendarRequest,
};
use serde_json::{Value, json};

use crate::client::{Client, ClientArgs};
use crate::failure::Failure;
use crate::output::{Style, details, instant, table};
use crate::server::Link;

const EXAMPLES: &str = "\
Examples:
  punctual calendar import holidays bank-holidays.ics
  punctual calendar import closed --day 2026-12-24 --day 2026-12-31
  punctual calendar get holidays

A schedule names them:
  schedule: { cron: '0 9 * * MON-FRI', zone: Europe/Berlin, exclude: [holidays, closed] }";

/// `punctual calendar`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CalendarArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: CalendarCommand,
}

#[derive(Debug, Subcommand)]
enum CalendarCommand {
    /// Make a calendar, or replace what it holds
    Import(ImportArgs),
    /// List calendars by name
    List,
    /// Show a calendar's days and events
    Get(NameArgs),
    /// Delete a calendar that no job names
    Delete(NameArgs),
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// Name of the calendar
    name: String,

    /// iCalendar file (.ics)
    #[arg(value_name = "FILE", required_unless_present = "day", conflicts_with = "day")]
    file: Option<PathBuf>,

    /// Whole day, in the zone of whichever schedule names the calendar; may be repeated
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Vec<String>,
}

#[derive(Debug, Args)]
struct NameArgs {
    /// Name of the calendar
    name: String,
}

impl CalendarArgs {
    /// Does what the command line says.
    ///
    /// # Errors
    /// When a file cannot be read, no server answers, one refuses, or the output is not taken.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.client.open()?;
        match self.command {
            CalendarCommand::Import(args) => import(&client, args).await,
            CalendarCommand::List => list(&client).await,
            CalendarCommand::Get(args) => get(&client, args).await,
            CalendarCommand::Delete(args) => delete(&client, args).await,
        }
    }
}

fn calendars(link: Link) -> CalendarServiceClient<Link> {
    CalendarServiceClient::new(link).max_decoding_message_size(8 << 20)
}

async fn import(client: &Client, args: ImportArgs) -> Result<(), Failure> {
    let ical = match &args.file {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?,
        None => String::new(),
    };
    let (namespace, name, days) = (client.namespace.clone(), args.name, args.day);
    let request = PutCalendarRequest { namespace, name, ical, days };
    let calendar =
        client.servers.call(async |link| calendars(link).put_calendar(request.clone()).await).await?;
    Ok(client.output.print(&[to_value(&calendar)], |_| {
        format!(
            "imported {}: {} days and {} events\n",
            calendar.name,
            calendar.days.len(),
            calendar.events.len()
        )
    })?)
}

async fn list(client: &Client) -> Result<(), Failure> {
    let request = ListCalendarsRequest { namespace: client.namespace.clone() };
    let answer =
        client.servers.call(async |link| calendars(link).list_calendars(request.clone()).await).await?;
    let objects: Vec<Value> = answer.calendars.iter().map(to_value).collect();
    Ok(client.output.print(&objects, |style| rows(&answer.calendars, style))?)
}

fn rows(calendars: &[Calendar], style: Style) -> String {
    if calendars.is_empty() {
        return "No calendars yet. Make one with: punctual calendar import NAME FILE.ics".to_owned();
    }
    let rows = calendars
        .iter()
        .map(|calendar| vec![Cell::new(&calendar.name), Cell::new(instant(calendar.updated_at.as_ref()))]);
    table(style, &["NAME", "UPDATED"], rows)
}

async fn get(client: &Client, args: NameArgs) -> Result<(), Failure> {
    let request = GetCalendarRequest { namespace: client.namespace.clone(), name: args.name };
    let calendar =
        client.servers.call(async |link| calendars(link).get_calendar(request.clone()).await).await?;
    Ok(client.output.print(&[to_value(&calendar)], |style| one(&calendar, style))?)
}

fn one(calendar: &Calendar, style: Style) -> String {
    let events = calendar.events.iter().map(|event| {
        let zone = if event.zone.is_empty() { "the schedule's zone" } else { &event.zone };
        let text = format!("{} for {} s in {zone} {}", event.start, event.seconds, event.rule);
        ("Event", Cell::new(format!("{}: {}", event.summary, text.trim_end())))
    });
    let mut rows = vec![
        ("Name", Cell::new(&calendar.name)),
        ("Namespace", Cell::new(&calendar.namespace)),
        ("Updated", Cell::new(instant(calendar.updated_at.as_ref()))),
    ];
    rows.extend(calendar.days.iter().map(|day| ("Day", Cell::new(day))));
    rows.extend(events);
    details(style, rows)
}

async fn delete(client: &Client, args: NameArgs) -> Result<(), Failure> {
    let request = DeleteCalendarRequest { namespace: client.namespace.clone(), name: args.name.clone() };
    client.servers.call(async |link| calendars(link).delete_calendar(request.clone()).await).await?;
    let deleted = json!({ "name": args.name, "state": "deleted" });
    Ok(client.output.print(&[deleted], |_| format!("deleted {}\n", args.name))?)
}
