//! Taking a data directory, and finding what the last process left there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use punctual_queue_log::committer::{Commit, Committer, Observer};
use punctual_queue_log::disk::Disk;
use punctual_queue_log::error::SyncFailure;
use punctual_queue_log::journal::{Journal, JournalOptions};
use punctual_service::clock::{Clock, SystemClock};
use punctual_service::dir_lock::DirLock;
use tokio::sync::watch;

use super::Context;
use crate::auth::AuthServers;
use crate::drain::Drain;
use crate::error::NodeError;
use crate::health::DiskHealth;
use crate::lookup::KnownLookups;
use crate::metrics::NodeMetrics;
use crate::options::NodeOptions;
use crate::tls::NodeTls;
use crate::topics::{self, Topics};

/// What a node goes on with.
pub(super) struct Recovered {
    pub(super) topics: Arc<Topics>,
    pub(super) context: Arc<Context>,
    pub(super) lock: DirLock,
    /// Whether a sync has failed since.
    pub(super) failure: watch::Receiver<Option<SyncFailure>>,
}

/// Takes the data directory, making it where there is none, and reads what is in it. Blocks on the disk.
pub(super) fn recover(
    disk: Arc<dyn Disk>,
    options: NodeOptions,
    tls: Option<NodeTls>,
    auth: Option<AuthServers>,
) -> Result<Recovered, NodeError> {
    let dir = std::path::absolute(&options.data_path).map_err(|source| NodeError::Io {
        action: "find",
        path: options.data_path.clone(),
        source,
    })?;
    create_durably(disk.as_ref(), &dir).map_err(|source| NodeError::Io {
        action: "create",
        path: dir.clone(),
        source,
    })?;
    let lock = DirLock::acquire(&dir)?;
    let node_id = crate::identity::load_or_create(disk.as_ref(), &dir)?;
    punctual_service::metrics::install(); // before the first counter is looked up, or that would count nowhere
    let metrics = NodeMetrics::new();
    let (failed, failure) = watch::channel(None);
    let observer = Watch { metrics: metrics.clone(), failed };
    let journal = open_journal(&disk, &dir)?;
    let committer = Committer::start(disk, Some(journal), Arc::new(observer)).map_err(NodeError::Thread)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let context = Arc::new(Context {
        limits: options.limits(),
        identify_limits: options.identify_limits(),
        lookups: watch::Sender::new(options.lookupd_tcp_addresses.clone()),
        known_lookups: KnownLookups::new(&options.lookupd_tcp_addresses),
        options,
        started_at: clock.now(),
        clock,
        committer,
        health: DiskHealth::default(),
        metrics,
        node_id,
        drain: Drain::default(),
        tls,
        auth,
        topology: watch::Sender::new(0),
    });
    let topics = Topics::open(dir.join(topics::DIR_NAME), Arc::clone(&context))?;
    Ok(Recovered { topics, context, lock, failure })
}

/// Puts what the last process left in the journal into the topics' logs.
fn open_journal(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Journal, NodeError> {
    let options = JournalOptions::default();
    let (journal, replayed) = Journal::open(Arc::clone(disk), dir, options).map_err(NodeError::Journal)?;
    if replayed.commits > 0 {
        tracing::info!(
            journal.commits = replayed.commits,
            journal.bytes = replayed.bytes,
            "put into the topics' logs what the last process had only synced in the journal",
        );
    }
    if let Some(kept) = &replayed.kept {
        tracing::error!(journal.path = %kept.display(), "a part of the journal cannot be read; it is kept");
    }
    Ok(journal)
}

/// Makes `dir` and what is missing above it, and syncs the directories that name them: without its own name, all that
/// is synced in `dir` would be lost with the power.
fn create_durably(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let is_missing = |dir: &&Path| matches!(disk.list(dir), Err(e) if e.kind() == io::ErrorKind::NotFound);
    let missing: Vec<&Path> = dir.ancestors().take_while(is_missing).collect();
    disk.create_dir_all(dir)?;
    // The node's own directory also when it was there: it may have been made just before a kill.
    let made = if missing.is_empty() { vec![dir] } else { missing };
    for parent in made.into_iter().filter_map(Path::parent) {
        match disk.sync_dir(parent) {
            // Then somebody else made the directory, and saw to it.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Notes what the committer does.
#[derive(Debug)]
struct Watch {
    metrics: NodeMetrics,
    failed: watch::Sender<Option<SyncFailure>>,
}

impl Observer for Watch {
    fn committed(&self, commit: &Commit) {
        self.metrics.committed(commit);
    }

    fn failed(&self, failure: &SyncFailure) {
        tracing::error!(error = crate::health::reason(failure), "a sync failed; the node stops");
        self.failed.send_replace(Some(failure.clone()));
    }
}
