//! What must and what may be found in a log after a crash, and how to have several appends in one commit.

use std::sync::mpsc;

use bytes::Bytes;
use punctual_queue_log::error::AppendError;
use punctual_queue_log::log::{Durability, Log};
use punctual_queue_log::position::Position;
use punctual_queue_log::record::Record;

/// A record that was appended. Moments are counted in events of the disk.
pub(crate) struct Appended {
    pub(crate) bytes: Vec<u8>,
    pub(crate) begun: usize,
    pub(crate) acknowledged: Option<usize>,
    /// It was not taken, and has not been read since.
    pub(crate) refused: bool,
    /// When its removal began, which a record behind the last segment has to put up with.
    pub(crate) removed: Option<usize>,
    pub(crate) position: Position,
}

/// Holds the committer until the result is dropped, so that what is appended meanwhile is of one commit.
pub(crate) fn hold(log: &Log) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel();
    // An empty record is refused by the committer's thread without a call of the disk; once that has ended, here.
    let until_released = move |refused| {
        if matches!(refused, Err(AppendError::BadLength { .. })) {
            let _ = held.recv();
        }
    };
    log.append(Record::new(Vec::new()), Durability::Written, Box::new(until_released));
    release
}

/// What must and what may be there after a crash at `moment`.
pub(crate) fn judge(appended: &[Appended], moment: usize, found: &[Bytes]) -> Result<(), String> {
    let acknowledged = |record: &Appended| record.acknowledged.is_some_and(|at| at <= moment);
    let begun = || appended.iter().enumerate().filter(|(_, record)| record.begun < moment);
    // What was refused may have left a part behind until the next is acknowledged; from then on it must be gone.
    let last = appended.iter().rposition(acknowledged);
    let left = |bytes: &Bytes| {
        let mut left =
            begun().filter(|(number, record)| record.refused && last.is_none_or(|last| *number > last));
        left.any(|(_, record)| record.bytes == *bytes)
    };
    let mut may = begun().filter(|(_, record)| !record.refused);
    for record in found {
        if !left(record) && !may.any(|(_, appended)| appended.bytes == *record) {
            return Err(format!("{} bytes of {} were not to be there", record.len(), record[0]));
        }
    }
    let must =
        appended.iter().filter(|record| acknowledged(record) && record.removed.is_none_or(|at| at >= moment));
    for record in must {
        if !found.iter().any(|found| *found == record.bytes) {
            return Err(format!("record {} was acknowledged and is lost", record.bytes[0]));
        }
    }
    Ok(())
}
