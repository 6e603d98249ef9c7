//! The files of a node that does not run: looked at, and mended.

use std::path::{Path, PathBuf};

pub use punctual_queue_log::check::SegmentReport;
use punctual_queue_log::check::{self as log_check};
use punctual_queue_log::disk::{Disk, RealDisk};
use punctual_queue_log::journal;
pub use punctual_queue_log::journal::Replayed;
use punctual_queue_log::position::Position;
use punctual_queue_wire::name::TopicName;
use punctual_service::dir_lock::DirLock;

use crate::error::{NodeError, TopicError};
pub use crate::topic::CheckpointHealth;
use crate::topic::{Checkpoint, count_messages};
use crate::topics;

/// What was found of one topic.
#[derive(Debug, Clone)]
pub struct TopicReport {
    /// Which.
    pub topic: TopicName,
    /// Whether there is a log. Without one, and without a checkpoint, the topic was being made when the node was stopped.
    pub has_log: bool,
    /// Its segments, in order.
    pub segments: Vec<SegmentReport>,
    /// Messages that can be read, finished ones that are still there included.
    pub messages: u64,
    /// Records that can be read and have no meaning: written by a later release, perhaps. They are not damaged, and a
    /// repair leaves them alone.
    pub unknown_records: u64,
    /// What became of the checkpoint.
    pub checkpoint: CheckpointHealth,
    /// Files that were set aside earlier because a part of them cannot be read.
    pub aside: Vec<PathBuf>,
    dir: PathBuf,
}

impl TopicReport {
    /// Whether anything cannot be read that was once written.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        let in_segments = self.segments.iter().any(|segment| !segment.damage.is_empty());
        in_segments || self.checkpoint.is_damaged() || self.lost_its_log()
    }

    fn lost_its_log(&self) -> bool {
        !self.has_log && self.checkpoint != CheckpointHealth::Missing
    }
}

/// What is to be seen of the journal that all topics share.
#[derive(Debug, Clone)]
pub struct JournalReport {
    /// Commits that the next start, or a [`repair`], puts into the topics' logs. Until then these may seem damaged.
    pub content: Replayed,
    /// Journals that were set aside earlier because a part of them cannot be read.
    pub aside: Vec<PathBuf>,
}

/// A file that was mended, put into others, or set aside.
#[derive(Debug, Clone)]
pub struct Repair {
    /// Which topic it belongs to; `None` for the journal, which all share.
    pub topic: Option<TopicName>,
    /// The file.
    pub file: PathBuf,
    /// Where it is as it was before; `None` when there was none.
    pub kept: Option<PathBuf>,
}

/// Reads every file of the node whose data directory is `data_path`, and changes none.
///
/// # Errors
/// A node uses the directory, it is none, or a file cannot be read at all.
pub fn check(data_path: &Path) -> Result<Vec<TopicReport>, NodeError> {
    let (_lock, topics) = open(data_path)?;
    topics.into_iter().map(|(topic, dir)| look(topic, dir)).collect()
}

/// Reads the journal of the node whose data directory is `data_path`, and changes nothing.
///
/// # Errors
/// As [`check`].
pub fn check_journal(data_path: &Path) -> Result<JournalReport, NodeError> {
    let (_lock, _) = open(data_path)?;
    let content = journal::inspect(&RealDisk, data_path).map_err(NodeError::Journal)?;
    let failed = |source| NodeError::Io { action: "list", path: data_path.to_owned(), source };
    let names = RealDisk.list(data_path).map_err(failed)?;
    let is_aside = |name: &&String| name.starts_with("journal") && name.ends_with(".damaged");
    let aside = names.iter().filter(is_aside).map(|name| data_path.join(name)).collect();
    Ok(JournalReport { content, aside })
}

/// Puts what the journal holds into the logs, and takes what cannot be read out of the node's files, so that it starts
/// clean. Each file is kept beside as it was.
///
/// # Errors
/// As [`check`], or a file cannot be written.
pub fn repair(data_path: &Path) -> Result<Vec<Repair>, NodeError> {
    let (_lock, topics) = open(data_path)?;
    let journal = journal::replay(&RealDisk, data_path).map_err(NodeError::Journal)?;
    let mut repairs = Vec::new();
    if journal != Replayed::default() {
        repairs.push(Repair { topic: None, file: data_path.join("journal"), kept: journal.kept });
    }
    for (topic, dir) in topics {
        let report = look(topic.clone(), dir)?;
        mend(&report, &mut repairs).map_err(failed(&topic))?;
    }
    Ok(repairs)
}

fn open(data_path: &Path) -> Result<(DirLock, Vec<(TopicName, PathBuf)>), NodeError> {
    let dir = data_path.join(topics::DIR_NAME);
    let names =
        RealDisk.list(&dir).map_err(|source| NodeError::Io { action: "list", path: dir.clone(), source })?;
    let lock = DirLock::acquire(data_path)?;
    let mut found: Vec<_> =
        names.iter().filter_map(|name| Some((topics::topic_of(name)?, dir.join(name)))).collect();
    found.retain(|(topic, _)| !topic.is_ephemeral()); // they end with the process
    found.sort();
    Ok((lock, found))
}

fn failed(topic: &TopicName) -> impl FnOnce(TopicError) -> NodeError {
    let topic = topic.clone();
    move |source| NodeError::Topic { topic, source }
}

fn look(topic: TopicName, dir: PathBuf) -> Result<TopicReport, NodeError> {
    let of_topic = topic.clone();
    look_into(topic, dir).map_err(failed(&of_topic))
}

fn look_into(topic: TopicName, dir: PathBuf) -> Result<TopicReport, TopicError> {
    let (mut messages, mut unknown_records) = (0, 0);
    let log = dir.join("log");
    let has_log = log.try_exists().map_err(TopicError::io("find"))?;
    let mut visit = |position, record| match count_messages(position, record) {
        Some(count) => messages += count,
        None => unknown_records += 1,
    };
    let segments = if has_log { log_check::check(&log, &RealDisk, &mut visit)? } else { Vec::new() };
    let checkpoint = Checkpoint::health(&RealDisk, &dir)?;
    let mut aside = Vec::new();
    for dir in [Some(&dir), has_log.then_some(&log)].into_iter().flatten() {
        let names = RealDisk.list(dir).map_err(TopicError::io("list"))?;
        aside.extend(names.iter().filter(|name| name.ends_with(".damaged")).map(|name| dir.join(name)));
    }
    aside.sort();
    Ok(TopicReport { topic, has_log, segments, messages, unknown_records, checkpoint, aside, dir })
}

fn mend(report: &TopicReport, repairs: &mut Vec<Repair>) -> Result<(), TopicError> {
    let mut note =
        |file, kept: Option<PathBuf>| repairs.push(Repair { topic: Some(report.topic.clone()), file, kept });
    if report.checkpoint.is_damaged() {
        let moved = Checkpoint::repair(&RealDisk, &report.dir)?;
        moved.into_iter().for_each(|(file, kept)| note(file, Some(kept)));
    }
    let log = report.dir.join("log");
    if report.lost_its_log() {
        if let Some(mut checkpoint) = Checkpoint::load(&RealDisk, &report.dir)?.checkpoint {
            checkpoint.cut_to(Position::START);
            checkpoint.store(&RealDisk, &report.dir)?;
        }
        RealDisk.create_dir_all(&log).map_err(TopicError::io("make the log's directory of"))?;
        RealDisk.sync_dir(&report.dir).map_err(TopicError::io("sync the directory of"))?;
        note(log.clone(), None);
    }
    let damaged: Vec<_> = report.segments.iter().filter(|segment| !segment.damage.is_empty()).collect();
    if damaged.is_empty() {
        return Ok(());
    }
    // First, so that a crash in between leaves a checkpoint that is true of the segments before and after.
    if let Some(mut checkpoint) = Checkpoint::load(&RealDisk, &report.dir)?.checkpoint {
        for segment in &damaged {
            checkpoint.collapse(segment.segment);
            checkpoint.forget_damage(segment.segment);
        }
        checkpoint.store(&RealDisk, &report.dir)?;
    }
    for segment in damaged {
        let kept = log_check::repair(&log, &RealDisk, segment)?;
        note(log.join(format!("{}.seg", segment.segment)), Some(kept));
    }
    Ok(())
}
