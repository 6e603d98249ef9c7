//! Sending a channel back to messages that it is done with.

use std::collections::HashMap;

use punctual_queue_log::position::Position;

use super::{Channel, FirstUnread};
use crate::message::Sequence;

impl Channel {
    /// All messages from `to` on are to be delivered as if they never were. Those before stay what they are, but what is
    /// in flight is so no more: everything is read anew, as after a start. `before` says where the log holds a message,
    /// or a place before it; nothing may be under way that is read from the log.
    pub(crate) fn seek(&mut self, to: Sequence, before: impl Fn(Sequence) -> Position) {
        let to = to.min(self.end);
        let attempts: HashMap<_, _> =
            self.all_attempts().into_iter().filter(|(number, _)| *number < to).collect();
        let put_off = self.deferred.keys().filter(|(_, number)| attempts.contains_key(number));
        self.put_off = put_off.map(|(until, number)| (*number, *until)).collect();
        self.deferred = self.put_off.iter().map(|(number, until)| ((*until, *number), None)).collect();
        self.attempts = attempts;
        self.ready.clear();
        self.again.clear();
        self.dying.clear();
        self.in_flight.clear();
        self.consumers.clear_in_flight();
        self.unsaved.forget_from(to);
        let open = self.open_count();
        self.progress.forget_from(to);
        self.counts.published += self.open_count() - open; // they are the channel's to deliver once more
        self.loaded_to = self.progress.floor();
        self.load_from = before(self.loaded_to);
        self.first_unread = FirstUnread::default();
    }

    fn open_count(&self) -> u64 {
        let all = self.progress.floor()..self.end;
        self.end.0 - all.start.0 - self.progress.count_within(all)
    }
}
