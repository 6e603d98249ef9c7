//! `nsq_to_file`: writes topics to files, a message a line.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use clap::Args;
use punctual_queue_client::discovery::LookupClient;
use punctual_queue_wire::name::TopicName;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::consuming::{ConsumingArgs, channel_name, topic_name};
use crate::error::ToolError;
use crate::go_duration;
use crate::time_of_day::TimeOfDay;

mod batch;
mod directories;
mod file_name;
mod ignored;
mod options;
mod output;
mod rotation;
mod spool;
mod strftime;
mod topic;
mod topics;
mod writers;

pub use file_name::FileNameError;
pub use spool::SpoolError;

use file_name::{FileNames, Naming};
use ignored::IgnoredArgs;
use options::FileArgs;
use rotation::Rotation;
use topics::Topics;
use writers::Writers;

const NAME: &str = "nsq_to_file";

/// Why `nsq_to_file` cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ToFileError {
    /// Nothing says what to write.
    #[error("--topic or --topic-pattern required")]
    NoTopic,
    /// Nobody to ask for topics.
    #[error("--lookupd-http-address must be specified when no --topic specified")]
    NoLookup,
    /// The pattern is no regular expression.
    #[error("--topic-pattern is not a regular expression")]
    Pattern(#[from] regex::Error),
    /// Files cannot be called as they should.
    #[error(transparent)]
    FileName(#[from] FileNameError),
    /// The directories cannot be made or looked at.
    #[error("could not prepare the directories for files")]
    Directories(#[source] io::Error),
    /// Complete files would have to be copied.
    #[error("--work-dir and --output-dir must be on the same file system")]
    TwoFileSystems,
    /// The process may not listen for signals.
    #[error("could not listen for signals")]
    Signals(#[source] io::Error),
    /// A file failed.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// The flags of `nsq_to_file`.
#[derive(Debug, Clone, Args)]
pub struct NsqToFile {
    #[command(flatten)]
    consuming: ConsumingArgs,

    /// A topic to write; may be repeated
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,

    /// Write only topics of which this regular expression matches some part; without --topic, of all that lookups know
    #[arg(long, value_name = "REGEX", default_value = "", hide_default_value = true)]
    topic_pattern: String,

    /// How often lookups are asked for topics
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = go_duration::parse)]
    topic_refresh: Duration,

    /// The channel
    #[arg(long, default_value = NAME)]
    channel: String,

    #[command(flatten)]
    files: FileArgs,

    #[command(flatten)]
    ignored: IgnoredArgs,
}

impl NsqToFile {
    /// Writes messages until `stop`, and then finishes what it has. Upon SIGHUP, files are closed, and begun anew with
    /// the next message.
    ///
    /// # Errors
    /// The flags do not say what to do, or a file failed: what was not yet finished is delivered again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ToolError> {
        let hang_ups = signal(SignalKind::hangup()).map_err(ToFileError::Signals)?;
        let (reopen, reopened) = watch::channel(0);
        tokio::select! {
            outcome = self.run_with(TimeOfDay::local(), stop, reopened) => outcome,
            never = follow(hang_ups, reopen) => match never {},
        }
    }

    /// As [`run`](Self::run), but the time is told, and files are closed whenever `reopen` changes.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_with(
        self,
        time_of_day: TimeOfDay,
        stop: CancellationToken,
        reopen: watch::Receiver<u64>,
    ) -> Result<(), ToolError> {
        self.writers(time_of_day)?.run(stop, reopen).await
    }

    /// Checks the flags, and makes the directories.
    fn writers(self, time_of_day: TimeOfDay) -> Result<Writers, ToolError> {
        self.consuming.check()?;
        self.ignored.warn();
        let topics = self.topics()?;
        let settings = self.consuming.settings(NAME)?;
        let channel = channel_name(&self.channel)?;
        let spool = self.files.spool_options();
        let naming = Naming {
            format: self.files.filename_format.clone(),
            datetime_format: self.files.datetime_format.clone(),
            host: file_name::host(&self.files.host_identifier, &settings.connection.hostname),
            pid: std::process::id(),
            gzip: self.files.gzip,
            revised: self.files.gzip || spool.rotation != Rotation::default() || spool.directories.are_two(),
        };
        for topic in topics.given() {
            FileNames::new(&naming, topic.as_str()).map_err(ToFileError::from)?;
        }
        if !spool.directories.prepare().map_err(ToFileError::Directories)? {
            return Err(ToFileError::TwoFileSystems.into());
        }
        Ok(Writers {
            consuming: self.consuming,
            settings,
            channel,
            topics,
            topic_refresh: self.topic_refresh,
            naming,
            spool,
            sync_interval: self.files.sync_interval,
            time_of_day,
        })
    }

    fn topics(&self) -> Result<Topics, ToolError> {
        let lookups = match (self.topics.is_empty(), self.topic_pattern.is_empty()) {
            (true, true) => return Err(ToFileError::NoTopic.into()),
            (true, false) if self.consuming.lookupd_http_addresses.is_empty() => {
                return Err(ToFileError::NoLookup.into());
            }
            (true, false) => Some(LookupClient::new(&self.consuming.lookupd_http_addresses)?),
            (false, _) => None,
        };
        let given =
            self.topics.iter().map(|topic| topic_name(topic)).collect::<Result<Vec<TopicName>, _>>()?;
        Ok(Topics::new(given, lookups, &self.topic_pattern).map_err(ToFileError::from)?)
    }
}

/// Has files closed at each SIGHUP.
async fn follow(mut hang_ups: Signal, reopen: watch::Sender<u64>) -> Infallible {
    loop {
        match hang_ups.recv().await {
            Some(()) => {
                info!("closing files upon SIGHUP");
                reopen.send_modify(|count| *count += 1);
            }
            None => std::future::pending().await,
        }
    }
}
