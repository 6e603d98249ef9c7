//! What the jobs themselves say of their running: the truth about what ran.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use punctual_verify::history::What;
use punctual_verify::time::Tick;

use crate::programs;
use crate::recorder::Recorder;
use crate::wait::until;

/// Listens to the `witness` programs that jobs run.
#[derive(Debug)]
pub struct Witness {
    socket: PathBuf,
    sightings: Arc<Mutex<Vec<Sighting>>>,
    listener: Option<JoinHandle<()>>,
}

/// Something that a job's program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// When, by the machine's monotonic clock.
    pub ts: Tick,
    /// What.
    pub what: Seen,
    /// Its run.
    pub run: String,
    /// Its attempt.
    pub att: u32,
    /// Its process.
    pub pid: i32,
}

/// What a job's program said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It starts.
    Start,
    /// It is still at it.
    Beat,
    /// It ends.
    End,
}

impl Witness {
    /// Listens at a socket in `dir`, and tells `recorder` too.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(dir: &Path, recorder: Arc<Recorder>) -> anyhow::Result<Self> {
        let socket = dir.join("witness.sock");
        let datagram =
            UnixDatagram::bind(&socket).with_context(|| format!("cannot listen at {}", socket.display()))?;
        let sightings = Arc::new(Mutex::new(Vec::new()));
        let seen = sightings.clone();
        let listener = std::thread::Builder::new().name("witness".to_owned()).spawn(move || {
            let mut buffer = [0; 512];
            while let Ok(length) = datagram.recv(&mut buffer) {
                match Sighting::parse(&buffer[..length]) {
                    Some(sighting) => {
                        sighting.record(&recorder);
                        seen.lock().expect("nobody panics with the lock").push(sighting);
                    }
                    None => break, // from `drop`
                }
            }
        })?;
        Ok(Self { socket, sightings, listener: Some(listener) })
    }

    /// The program and arguments of a job that is seen here and takes `work`.
    ///
    /// # Errors
    /// When the program is not built.
    pub fn argv(&self, work: Duration) -> anyhow::Result<Vec<String>> {
        let program = programs::witness()?.to_string_lossy().into_owned();
        Ok(vec![program, self.socket.to_string_lossy().into_owned(), work.as_millis().to_string()])
    }

    /// Everything seen so far, in the order of arrival.
    pub fn sightings(&self) -> Vec<Sighting> {
        self.sightings.lock().expect("nobody panics with the lock").clone()
    }

    /// Waits for a sighting.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn sees(
        &self,
        what: &str,
        within: Duration,
        matches: impl Fn(&Sighting) -> bool,
    ) -> anyhow::Result<Sighting> {
        until(what, within, async || {
            let sightings = self.sightings();
            sightings
                .iter()
                .find(|sighting| matches(sighting))
                .cloned()
                .ok_or(format!("{} others", sightings.len()))
        })
        .await
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let told = UnixDatagram::unbound().and_then(|own| own.send_to(b"stop", &self.socket));
        if told.is_ok()
            && let Some(listener) = self.listener.take()
        {
            // It would have panicked only with the lock, which the test has noticed.
            let _panicked = listener.join();
        }
    }
}

impl Sighting {
    fn parse(message: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(message).ok()?.split(' ');
        let what = match words.next()? {
            "start" => Seen::Start,
            "beat" => Seen::Beat,
            "end" => Seen::End,
            _ => return None,
        };
        let run = words.next()?.to_owned();
        let att = words.next()?.parse().ok()?;
        let ts = Tick(words.next()?.parse().ok()?);
        Some(Self { ts, what, run, att, pid: words.next()?.parse().ok()? })
    }

    fn record(&self, recorder: &Recorder) {
        let (run, att) = (self.run.clone(), self.att);
        let what = match self.what {
            Seen::Start => What::EffectStart { run, att },
            Seen::End => What::EffectEnd { run, att },
            Seen::Beat => return,
        };
        recorder.record_at(self.ts, "witness", what);
    }
}
