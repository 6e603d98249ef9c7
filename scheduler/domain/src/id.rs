//! Identifiers. All are random or time-ordered UUIDs; none is a host name.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// A job, for as long as it exists; a job deleted and made again under the same name has another.
    JobId
);
uuid_id!(
    /// A run. Version 7, so that they sort by creation.
    RunId
);
uuid_id!(
    /// A backfill of a job.
    BackfillId
);
uuid_id!(
    /// One start of a worker process.
    SessionId
);
uuid_id!(
    /// One start of a scheduler process.
    ReplicaId
);

/// The number of an attempt within its run, which is also its holder's token. Counts from 1, is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptNumber(pub NonZeroU32);

impl AttemptNumber {
    /// The first attempt of a run.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The number as it goes over the wire.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The one that follows `latest`; the first when there was none.
    pub fn after(latest: Option<Self>) -> Self {
        latest.map_or(Self::FIRST, |Self(number)| Self(number.saturating_add(1)))
    }

    /// `None` for 0, which is no attempt.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }
}

impl fmt::Display for AttemptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the 64 parts that runs are divided into; each is published by the scheduler that owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u8);

impl Shard {
    /// How many there are.
    pub const COUNT: u8 = 64;

    /// The shard of a job's runs, so that one owner judges their overlap.
    pub fn of_job(job: JobId) -> Self {
        Self::of(job.0)
    }

    /// The shard of a run that has no job.
    pub fn of_run(run: RunId) -> Self {
        Self::of(run.0)
    }

    /// The one with the lowest number: whoever owns it does what one replica is enough for.
    pub fn first() -> Self {
        Self(0)
    }

    /// Every shard.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// `None` at 64 and above.
    pub fn new(number: u8) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// 0 to 63.
    pub fn get(self) -> u8 {
        self.0
    }

    // FNV-1a over the bytes: stable across releases, unlike the standard library's hasher.
    fn of(id: Uuid) -> Self {
        let hash = id.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self((hash >> 32) as u8 % Self::COUNT)
    }
}
