//! Flags of the compression that clients may ask for.

use clap::{ArgAction, Args, value_parser};

/// Compression on the TCP interface.
#[derive(Debug, Clone, Args)]
pub struct CompressionOptions {
    /// Let clients have deflate
    #[arg(long, env = "PUNCTUAL_QUEUE_DEFLATE", default_value_t = true, action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub deflate: bool,

    /// The highest level of deflate they may have
    #[arg(long, env = "PUNCTUAL_QUEUE_MAX_DEFLATE_LEVEL", default_value_t = 6, value_parser = value_parser!(u8).range(1..=9))]
    pub max_deflate_level: u8,

    /// Let clients have snappy
    #[arg(long, env = "PUNCTUAL_QUEUE_SNAPPY", default_value_t = true, action = ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub snappy: bool,
}
