//! A queue node: run, or its files looked at while it does not.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::Cell;
use punctual_queue_node::check::{self, CheckpointHealth, JournalReport, Repair, Replayed, TopicReport};
use punctual_queue_node::options::NodeOptions;
use serde_json::{Value, json};

use crate::failure::{ExitStatus, Failure};
use crate::nsq::LinksArgs;
use crate::output::{OutputArgs, Style, table};
use crate::role::RoleArgs;

/// Without a subcommand, the node runs.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct QueueArgs {
    #[command(subcommand)]
    command: Option<QueueCommand>,

    #[command(flatten)]
    node: RoleArgs<NodeOptions>,
}

#[derive(Debug, Subcommand)]
enum QueueCommand {
    /// Read all files of a stopped node and say what of them is damaged; exits with 7 if anything is,
    /// with 8 if it is whole but not all is understood
    Check(FilesArgs),
    /// Take what is damaged out of a stopped node's files, keeping each file as it was beside
    Repair(FilesArgs),
    /// Make symbolic links to this program under the names of NSQ's programs
    InstallLinks(LinksArgs),
}

/// The files of a node.
#[derive(Debug, Args)]
struct FilesArgs {
    /// The node's data directory
    dir: PathBuf,

    #[command(flatten)]
    output: OutputArgs,
}

impl QueueArgs {
    /// Runs the node until a signal, or does the subcommand.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.command {
            None => self.node.run().await,
            Some(QueueCommand::Check(args)) => args.check(),
            Some(QueueCommand::Repair(args)) => args.repair(),
            Some(QueueCommand::InstallLinks(args)) => args.run(),
        }
    }
}

impl FilesArgs {
    fn check(self) -> Result<(), Failure> {
        let reports = check::check(&self.dir).map_err(anyhow::Error::from)?;
        let journal = check::check_journal(&self.dir).map_err(anyhow::Error::from)?;
        let mut objects: Vec<_> = reports.iter().map(report_object).collect();
        objects.extend(journal_object(&journal));
        self.output.open().print(&objects, |style| report_text(style, &reports) + &journal_text(&journal))?;
        let of_journal = if journal.content.damaged > 0 { Verdict::Damaged } else { Verdict::Whole };
        match reports.iter().map(verdict).max().max(Some(of_journal)) {
            Some(Verdict::Damaged) => Err(Failure::Said(ExitStatus::Damaged)),
            Some(Verdict::NotUnderstood) => Err(Failure::Said(ExitStatus::NotUnderstood)),
            Some(Verdict::Whole) | None => Ok(()),
        }
    }

    fn repair(self) -> Result<(), Failure> {
        let repairs = check::repair(&self.dir).map_err(anyhow::Error::from)?;
        let object = |repair: &Repair| {
            let Repair { topic, file, kept } = repair;
            json!({ "topic": topic.as_ref().map(|topic| topic.as_str()), "file": file, "kept_as": kept })
        };
        let objects: Vec<_> = repairs.iter().map(object).collect();
        self.output.open().print(&objects, |style| repair_text(style, &repairs))?;
        Ok(())
    }
}

/// What a topic is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Whole,
    /// A repair does not help: the records are as they were written, and another release may know them.
    NotUnderstood,
    Damaged,
}

fn verdict(report: &TopicReport) -> Verdict {
    match report.is_damaged() {
        true => Verdict::Damaged,
        false if report.unknown_records > 0 => Verdict::NotUnderstood,
        false => Verdict::Whole,
    }
}

fn health(report: &TopicReport) -> &'static str {
    match report.checkpoint {
        CheckpointHealth::Sound => "ok",
        CheckpointHealth::Missing => "none",
        CheckpointHealth::OneDamaged => "one damaged",
        CheckpointHealth::Damaged => "damaged",
    }
}

fn report_object(report: &TopicReport) -> Value {
    let ranges = report.segments.iter().flat_map(|segment| &segment.damage);
    let damage: Vec<_> = ranges
        .map(|range| json!({ "segment": range.segment.0, "from": range.from, "to": range.to }))
        .collect();
    json!({
        "topic": report.topic.as_str(),
        "has_log": report.has_log,
        "segments": report.segments.len(),
        "bytes": report.segments.iter().map(|segment| u64::from(segment.bytes)).sum::<u64>(),
        "records": report.segments.iter().map(|segment| segment.records).sum::<u64>(),
        "messages": report.messages,
        "unknown_records": report.unknown_records,
        "torn_bytes": report.segments.iter().map(|segment| segment.torn_bytes).sum::<u32>(),
        "checkpoint": health(report),
        "damage": damage,
        "kept_aside": report.aside,
    })
}

fn report_text(style: Style, reports: &[TopicReport]) -> String {
    let headings = ["TOPIC", "SEGMENTS", "BYTES", "RECORDS", "MESSAGES", "CHECKPOINT", "TORN", "DAMAGED"];
    let rows = reports.iter().map(|report| {
        let sum =
            |of: fn(&check::SegmentReport) -> u64| Cell::new(report.segments.iter().map(of).sum::<u64>());
        let damaged =
            sum(|segment| segment.damage.iter().map(|range| u64::from(range.to - range.from)).sum());
        vec![
            Cell::new(&report.topic),
            Cell::new(report.segments.len()),
            sum(|segment| segment.bytes.into()),
            sum(|segment| segment.records),
            Cell::new(report.messages),
            Cell::new(health(report)),
            sum(|segment| segment.torn_bytes.into()),
            damaged,
        ]
    });
    let mut text = table(style, &headings, rows);
    for report in reports {
        if !report.has_log {
            text += &format!("without a log: topic {}\n", report.topic);
        }
        for range in report.segments.iter().flat_map(|segment| &segment.damage) {
            let (topic, segment) = (&report.topic, range.segment);
            text +=
                &format!("damaged: topic {topic}, segment {segment}, bytes {} to {}\n", range.from, range.to);
        }
        if report.unknown_records > 0 {
            text += &format!(
                "not understood: topic {}, {} records, perhaps of a later release\n",
                report.topic, report.unknown_records
            );
        }
        for aside in &report.aside {
            text += &format!("kept aside earlier: {}\n", aside.display());
        }
    }
    text
}

/// Nothing where there is nothing to say.
fn journal_object(journal: &JournalReport) -> Option<Value> {
    let Replayed { commits, bytes, damaged, .. } = journal.content;
    let is_worth_it = commits + damaged > 0 || !journal.aside.is_empty();
    is_worth_it.then(|| {
        json!({ "journal": {
            "commits": commits, "bytes": bytes, "damaged_commits": damaged, "kept_aside": journal.aside,
        } })
    })
}

fn journal_text(journal: &JournalReport) -> String {
    let Replayed { commits, bytes, damaged, .. } = journal.content;
    let mut text = String::new();
    if commits > 0 {
        text += &format!(
            "journal: {commits} commits of {bytes} bytes; the next start or a repair puts them into the logs, \
             and what is missing there may be among them\n"
        );
    }
    if damaged > 0 {
        text += &format!("damaged: {damaged} commits of the journal, or more\n");
    }
    for aside in &journal.aside {
        text += &format!("kept aside earlier: {}\n", aside.display());
    }
    text
}

fn repair_text(style: Style, repairs: &[Repair]) -> String {
    if repairs.is_empty() {
        return "nothing to repair".to_owned();
    }
    let rows = repairs.iter().map(|repair| {
        let kept = repair.kept.as_ref().map_or("-".to_owned(), |kept| kept.display().to_string());
        let topic = repair.topic.as_ref().map_or("-", |topic| topic.as_str());
        vec![Cell::new(topic), Cell::new(repair.file.display()), Cell::new(kept)]
    });
    table(style, &["TOPIC", "REPAIRED", "AS IT WAS"], rows)
}
