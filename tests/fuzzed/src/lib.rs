//! Any bytes, where bytes come in from strangers: each [`Target`] takes some and says by panicking what is wrong.
//!
//! Two use them: the fuzz targets in `fuzz/`, which go on for as long as they are told to, and a test here, which tries
//! the inputs that are kept in `fuzz/seeds/`. Both count memory with a [`Meter`]: what is only claimed takes none.

pub mod commands;
pub mod frames;
pub mod identify;
pub mod mpub;
pub mod query;
pub mod registrations;
pub mod streams;

mod meter;
mod pieces;

pub use meter::{Meter, within};

/// Something that takes bytes from strangers.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The fuzz target's name, and that of the folder with its seeds.
    pub name: &'static str,
    /// Tries one input.
    ///
    /// # Panics
    /// When it finds something.
    pub run: fn(&[u8]),
}

/// All there are.
pub const TARGETS: &[Target] = &[
    Target { name: "commands", run: commands::run },
    Target { name: "deflate", run: streams::deflate },
    Target { name: "frames", run: frames::run },
    Target { name: "identify", run: identify::run },
    Target { name: "mpub", run: mpub::run },
    Target { name: "query", run: query::run },
    Target { name: "registrations", run: registrations::run },
    Target { name: "snappy", run: streams::snappy },
];
