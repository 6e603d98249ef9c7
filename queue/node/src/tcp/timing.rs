//! What is due on a connection when nothing comes.

use std::io;

use punctual_queue_wire::frame;
use tokio::time::Instant;

use super::connection::{Connection, End};

impl Connection {
    /// When something is due, if ever.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let interval = self.settings.heartbeat_interval?;
        match self.behind_since {
            Some(since) => Some(since + interval),
            // Nothing may come between the answer that announces an upgrade and the upgrade.
            None if self.upgrade.is_some() => None,
            None if self.reads() => Some(self.heartbeat_at.min(self.silent_until)),
            None => Some(self.heartbeat_at),
        }
    }

    /// It is time: to say something, or to give up a client that takes nothing or says nothing.
    pub(super) fn on_due(&mut self) -> Result<(), End> {
        if self.is_behind() {
            return Err(End::Unsent(io::ErrorKind::TimedOut.into()));
        }
        if self.reads() && Instant::now() >= self.silent_until {
            return Err(End::Closed);
        }
        self.heartbeat();
        Ok(())
    }

    fn heartbeat(&mut self) {
        frame::encode_response(frame::HEARTBEAT, &mut self.output);
        if let Some(interval) = self.settings.heartbeat_interval {
            self.heartbeat_at = Instant::now() + interval;
        }
    }

    /// The intervals begin now: at the start, and when IDENTIFY has set them.
    pub(super) fn restart_timers(&mut self) {
        if let Some(interval) = self.settings.heartbeat_interval {
            self.heartbeat_at = Instant::now() + interval;
        }
        self.listen_anew();
    }

    pub(super) fn listen_anew(&mut self) {
        if let Some(interval) = self.settings.heartbeat_interval {
            self.silent_until = Instant::now() + interval * 2;
        }
    }
}
