//! The names in a directory: as they are listed, and as they are on the disk.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::Survival;
use super::image::Inode;

/// The names in a directory.
#[derive(Debug, Default)]
pub(super) struct Names {
    live: BTreeMap<OsString, Inode>,
    durable: BTreeMap<OsString, Inode>,
    pending: Vec<Change>,
}

/// Names that go and come together: a rename within the directory is never half done.
#[derive(Debug)]
struct Change {
    gone: Option<(OsString, Inode)>,
    come: Option<(OsString, Inode)>,
}

impl Names {
    pub(super) fn get(&self, name: &OsStr) -> Option<Inode> {
        self.live.get(name).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&OsStr, Inode)> {
        self.live.iter().map(|(name, inode)| (name.as_os_str(), *inode))
    }

    /// Gives a name, in place of whatever had it.
    pub(super) fn add(&mut self, name: &OsStr, inode: Inode) {
        self.change(Change { gone: None, come: Some((name.to_owned(), inode)) });
    }

    pub(super) fn remove(&mut self, name: &OsStr, inode: Inode) {
        self.change(Change { gone: Some((name.to_owned(), inode)), come: None });
    }

    pub(super) fn rename(&mut self, from: &OsStr, to: &OsStr, inode: Inode) {
        self.change(Change { gone: Some((from.to_owned(), inode)), come: Some((to.to_owned(), inode)) });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    /// Makes all names durable.
    pub(super) fn sync(&mut self) {
        self.pending.clear();
        self.durable.clone_from(&self.live);
    }

    /// Leaves the names that are on the disk, with those of the changes since that `survival` keeps, each whatever
    /// became of the others.
    pub(super) fn cut_power(&mut self, survival: &mut Survival) {
        for change in std::mem::take(&mut self.pending) {
            if survival.keeps_next() {
                change.apply(&mut self.durable);
            }
        }
        self.live.clone_from(&self.durable);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<OsString, Inode>) {
        if let Some((name, inode)) = &self.gone
            && names.get(name) == Some(inode)
        {
            names.remove(name);
        }
        if let Some((name, inode)) = &self.come {
            names.insert(name.clone(), *inode);
        }
    }
}
