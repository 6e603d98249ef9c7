//! All topics of a node.

mod dead_letters;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use punctual_queue_wire::name::TopicName;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::{NodeError, TopicError};
use crate::node::Context;
use crate::topic::{ChannelHandle, Topic};

pub(crate) use dead_letters::NotSet;

/// Where topics are, within the data directory.
pub(crate) const DIR_NAME: &str = "topics";

const TOPIC_SUFFIX: &str = ".topic";
const DELETED_SUFFIX: &str = ".deleted";

/// The topics, by name. Owns their keepers: dropped, it ends them without a last checkpoint.
#[derive(Debug)]
pub(crate) struct Topics {
    me: Weak<Self>,
    dir: PathBuf,
    context: Arc<Context>,
    by_name: RwLock<BTreeMap<TopicName, Arc<Topic>>>,
    keepers: Mutex<JoinSet<()>>,
    stop_keepers: CancellationToken,
    /// Held while a topic is made or deleted, which takes several steps on the disk.
    making: tokio::sync::Mutex<()>,
    /// Held while it is looked at and changed where dead letters go.
    setting_dead_letters: tokio::sync::Mutex<()>,
}

impl Topics {
    /// Recovers all topics under `dir`. Blocks on the disk.
    pub(crate) fn open(dir: PathBuf, context: Arc<Context>) -> Result<Arc<Self>, NodeError> {
        let disk = Arc::clone(context.committer.disk());
        let failed = |action| {
            let path = dir.clone();
            move |source| NodeError::Io { action, path, source }
        };
        disk.create_dir_all(&dir).map_err(failed("create"))?;
        disk.sync_dir(dir.parent().unwrap_or(Path::new("."))).map_err(failed("sync the directory above"))?;
        let mut by_name = BTreeMap::new();
        for entry in disk.list(&dir).map_err(failed("list"))? {
            let path = dir.join(&entry);
            let name = topic_of(&entry);
            if entry.ends_with(DELETED_SUFFIX) || name.as_ref().is_some_and(TopicName::is_ephemeral) {
                disk.remove_dir_all(&path).map_err(failed("clear"))?;
            } else if let Some(name) = name {
                let topic = Topic::open(name.clone(), path, Arc::clone(&context))
                    .map_err(|source| NodeError::Topic { topic: name.clone(), source })?;
                by_name.insert(name, topic);
            }
        }
        Ok(Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            dir,
            context,
            by_name: RwLock::new(by_name),
            keepers: Mutex::default(),
            stop_keepers: CancellationToken::new(),
            making: tokio::sync::Mutex::default(),
            setting_dead_letters: tokio::sync::Mutex::default(),
        }))
    }

    /// Starts the keepers of the recovered topics.
    pub(crate) fn start(&self) {
        for topic in self.all() {
            self.keep(Arc::clone(&topic));
            if topic.is_held() {
                self.open_up(topic);
            }
        }
    }

    fn keep(&self, topic: Arc<Topic>) {
        let mut keepers = self.keepers.lock();
        while keepers.try_join_next().is_some() {} // those of deleted topics
        keepers.spawn(topic.keep(Weak::clone(&self.me), self.stop_keepers.clone()));
    }

    /// Asks the lookups for the topic's channels, which holds up nobody but the topic. Cut off by a stop, it is done at
    /// the next start.
    fn open_up(&self, topic: Arc<Topic>) {
        let stop = self.stop_keepers.clone();
        let opening = async move {
            let _opened = stop.run_until_cancelled(topic.open_up()).await;
        };
        self.keepers.lock().spawn(opening);
    }

    pub(crate) fn get(&self, name: &TopicName) -> Option<Arc<Topic>> {
        self.by_name.read().get(name).cloned()
    }

    /// In the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.by_name.read().values().cloned().collect()
    }

    /// The topic of this name, made where there is none.
    pub(crate) async fn get_or_create(&self, name: &TopicName) -> Result<Arc<Topic>, TopicError> {
        if let Some(topic) = self.get(name) {
            return Ok(topic);
        }
        let _making = self.making.lock().await;
        if let Some(topic) = self.get(name) {
            return Ok(topic);
        }
        if self.stop_keepers.is_cancelled() {
            return Err(TopicError::Exiting);
        }
        let dir = self.dir.join(format!("{name}{TOPIC_SUFFIX}"));
        let (owned_name, parent, context) = (name.clone(), self.dir.clone(), Arc::clone(&self.context));
        let topic = blocking(move || {
            let topic = Topic::open(owned_name, dir, Arc::clone(&context))?;
            context.committer.disk().sync_dir(&parent).map_err(TopicError::io("sync the directory of"))?;
            Ok(topic)
        })
        .await?;
        let asks_lookups = !self.context.known_lookups.is_empty();
        if asks_lookups {
            topic.hold();
        }
        self.by_name.write().insert(name.clone(), Arc::clone(&topic));
        self.keep(Arc::clone(&topic));
        if asks_lookups {
            self.open_up(Arc::clone(&topic));
        }
        self.context.topology_changed();
        Ok(topic)
    }

    /// Deletes a topic with all its channels and messages; `false` when there is none.
    pub(crate) async fn delete(&self, name: &TopicName) -> Result<bool, TopicError> {
        let Some(doomed) = self.put_aside(name).await? else { return Ok(false) };
        let disk = Arc::clone(self.context.committer.disk());
        // It takes a while where there is much, and holds up nobody: the name is free.
        blocking(move || disk.remove_dir_all(&doomed).map_err(TopicError::io("clear"))).await?;
        Ok(true)
    }

    /// Ends a topic, if there is one; says where its files are now.
    async fn put_aside(&self, name: &TopicName) -> Result<Option<PathBuf>, TopicError> {
        let _making = self.making.lock().await;
        let Some(topic) = self.by_name.write().remove(name) else {
            return Ok(None);
        };
        topic.retire();
        self.context.topology_changed();
        let parent = self.dir.clone();
        let doomed = parent.join(format!("{}{DELETED_SUFFIX}", uuid::Uuid::new_v4()));
        let disk = Arc::clone(self.context.committer.disk());
        blocking(move || {
            // From the rename on the topic is gone; what is left of it is cleared now or at the next start.
            topic.move_files(&doomed)?;
            disk.sync_dir(&parent).map_err(TopicError::io("sync the directory of"))?;
            Ok(Some(doomed))
        })
        .await
    }

    /// Deletes a channel, and its topic if that is ephemeral and has no other; `false` when there is none.
    pub(crate) async fn delete_channel(
        &self,
        topic: &Arc<Topic>,
        channel: &ChannelHandle,
    ) -> Result<bool, TopicError> {
        let deleted = topic.delete_channel(&channel.name).await?;
        self.delete_if_abandoned(topic).await?;
        Ok(deleted)
    }

    /// Called when a consumer has left: ephemeral channels and topics go with their last user.
    pub(crate) async fn left(
        &self,
        topic: &Arc<Topic>,
        channel: &Arc<ChannelHandle>,
    ) -> Result<(), TopicError> {
        if channel.name.is_ephemeral() {
            topic.delete_abandoned_channel(channel).await;
            self.delete_if_abandoned(topic).await?;
        }
        Ok(())
    }

    async fn delete_if_abandoned(&self, topic: &Topic) -> Result<(), TopicError> {
        if topic.name.is_ephemeral() && topic.channels().is_empty() {
            self.delete(&topic.name).await?;
        }
        Ok(())
    }

    /// Ends the keepers; each leaves a checkpoint. Nothing can be made any more.
    pub(crate) async fn stop(&self) {
        self.stop_keepers.cancel();
        let mut keepers = std::mem::take(&mut *self.keepers.lock());
        while let Some(ended) = keepers.join_next().await {
            if let Err(e) = ended {
                tracing::error!(error = %e, "a topic's keeper panicked");
            }
        }
    }
}

/// The topic whose directory has this name.
pub(crate) fn topic_of(entry: &str) -> Option<TopicName> {
    entry.strip_suffix(TOPIC_SUFFIX)?.parse().ok()
}

/// Runs something that waits for the disk where that holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TopicError> + Send + 'static,
) -> Result<T, TopicError> {
    // A task that is cancelled with the runtime has nobody left to tell.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(TopicError::Exiting))
}
