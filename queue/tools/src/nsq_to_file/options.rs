//! What is written, and how files are called and rotated. Flags have NSQ's names and defaults.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::directories::Directories;
use super::rotation::Rotation;
use super::spool::SpoolOptions;
use crate::go_duration;

/// The flags of `nsq_to_file` that are about files.
#[derive(Debug, Clone, Args)]
pub(super) struct FileArgs {
    /// The directory files are written to
    #[arg(long, value_name = "DIR", default_value = "/tmp")]
    pub(super) output_dir: PathBuf,

    /// The directory files are in until they are complete and moved to --output-dir, which must be on the same file
    /// system
    #[arg(long, value_name = "DIR", default_value = "", hide_default_value = true)]
    pub(super) work_dir: String,

    /// What <DATETIME> is in file names, as for strftime
    #[arg(long, value_name = "FORMAT", default_value = "%Y-%m-%d_%H")]
    pub(super) datetime_format: String,

    /// What files are called; <TOPIC>, <HOST>, <PID>, <DATETIME> and <REV> are replaced, <REV> by a number that counts
    /// up where there is such a file already
    #[arg(long, value_name = "FORMAT", default_value = "<TOPIC>.<HOST><REV>.<DATETIME>.log")]
    pub(super) filename_format: String,

    /// What <HOST> is in file names, instead of the host's short name; <SHORT_HOST> and <HOSTNAME> are replaced
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) host_identifier: String,

    /// Compress files with gzip
    #[arg(long)]
    pub(super) gzip: bool,

    /// How hard gzip tries, from 1 (fast) to 9 (small)
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub(super) gzip_level: u32,

    /// Make no file that nothing is written to
    #[arg(long)]
    pub(super) skip_empty_files: bool,

    /// Begin another file when one has more bytes than this, before compression; 0 for no limit
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub(super) rotate_size: u64,

    /// Begin another file when one is older than this; 0 for no limit
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = go_duration::parse)]
    pub(super) rotate_interval: Duration,

    /// How often files are synced, their messages finished, and looked whether another file has to begin
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = go_duration::parse)]
    pub(super) sync_interval: Duration,
}

impl FileArgs {
    pub(super) fn spool_options(&self) -> SpoolOptions {
        let output = self.output_dir.clone();
        let work = if self.work_dir.is_empty() { output.clone() } else { PathBuf::from(&self.work_dir) };
        SpoolOptions {
            directories: Directories::new(work, output),
            rotation: Rotation {
                bytes: (self.rotate_size > 0).then_some(self.rotate_size),
                interval: (!self.rotate_interval.is_zero()).then_some(self.rotate_interval),
            },
            gzip: self.gzip.then(|| flate2::Compression::new(self.gzip_level)),
            skip_empty: self.skip_empty_files,
        }
    }
}
