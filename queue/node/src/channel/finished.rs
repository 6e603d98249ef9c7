//! When the messages were published that were finished lately, for whoever measures that.

use super::Channel;

/// Kept only if somebody wants to know.
#[derive(Debug, Default)]
pub(super) struct Finished(Option<Vec<i64>>);

impl Finished {
    pub(super) fn note(&mut self, timestamp_ns: i64) {
        if let Some(timestamps_ns) = &mut self.0 {
            timestamps_ns.push(timestamp_ns);
        }
    }
}

impl Channel {
    /// From now on somebody [takes](Self::take_finished) the times of what was finished, whenever he has worked on the
    /// channel.
    pub(crate) fn watch_finished(&mut self) {
        self.finished = Finished(Some(Vec::new()));
    }

    /// When the messages were published that were finished since the last call, in nanoseconds since the Unix epoch.
    pub(crate) fn take_finished(&mut self) -> Vec<i64> {
        self.finished.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
