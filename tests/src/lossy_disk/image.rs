//! All files and directories of a lossy disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use nix::errno::Errno;

use super::Survival;
use super::content::Content;
use super::names::Names;

/// A file or directory, whatever its name is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inode(pub(super) u64);

/// The uppermost directory; FUSE's number for it.
pub(super) const ROOT: Inode = Inode(1);

/// Files, directories and their names. What has no name any more is kept until the power is cut, for it may be open.
#[derive(Debug)]
pub(super) struct Image {
    nodes: BTreeMap<Inode, Node>,
    next: Inode,
}

/// What an inode is.
#[derive(Debug)]
pub(super) enum Node {
    File(Content),
    Directory(Names),
}

impl Default for Image {
    fn default() -> Self {
        let root = Node::Directory(Names::default());
        Self { nodes: BTreeMap::from([(ROOT, root)]), next: Inode(ROOT.0 + 1) }
    }
}

impl Image {
    pub(super) fn node(&self, inode: Inode) -> Result<&Node, Errno> {
        self.nodes.get(&inode).ok_or(Errno::ENOENT)
    }

    pub(super) fn file(&mut self, inode: Inode) -> Result<&mut Content, Errno> {
        match self.nodes.get_mut(&inode).ok_or(Errno::ENOENT)? {
            Node::File(content) => Ok(content),
            Node::Directory(_) => Err(Errno::EISDIR),
        }
    }

    pub(super) fn directory(&mut self, inode: Inode) -> Result<&mut Names, Errno> {
        match self.nodes.get_mut(&inode).ok_or(Errno::ENOENT)? {
            Node::Directory(names) => Ok(names),
            Node::File(_) => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn lookup(&mut self, parent: Inode, name: &OsStr) -> Result<Inode, Errno> {
        self.directory(parent)?.get(name).ok_or(Errno::ENOENT)
    }

    /// Makes an empty file or directory.
    pub(super) fn create(&mut self, parent: Inode, name: &OsStr, node: Node) -> Result<Inode, Errno> {
        let inode = self.next;
        let names = self.directory(parent)?;
        if names.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        names.add(name, inode);
        self.nodes.insert(inode, node);
        self.next = Inode(inode.0 + 1);
        Ok(inode)
    }

    /// Takes the name of a file or of an empty directory.
    pub(super) fn remove(&mut self, parent: Inode, name: &OsStr) -> Result<(), Errno> {
        let inode = self.lookup(parent, name)?;
        if let Node::Directory(names) = self.node(inode)?
            && !names.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        self.directory(parent)?.remove(name, inode);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: (Inode, &OsStr), to: (Inode, &OsStr)) -> Result<(), Errno> {
        let inode = self.lookup(from.0, from.1)?;
        self.directory(to.0)?;
        if from.0 == to.0 {
            self.directory(from.0)?.rename(from.1, to.1, inode);
        } else {
            self.directory(to.0)?.add(to.1, inode);
            self.directory(from.0)?.remove(from.1, inode);
        }
        Ok(())
    }

    /// The names in a directory, by inode.
    pub(super) fn list(&mut self, inode: Inode) -> Result<Vec<(Inode, OsString)>, Errno> {
        let names = self.directory(inode)?.iter();
        let mut list: Vec<_> = names.map(|(name, inode)| (inode, name.to_owned())).collect();
        list.sort_unstable();
        Ok(list)
    }

    /// Drops what was not synced, but for what `survival` keeps, and then what has no name.
    pub(super) fn cut_power(&mut self, survival: &mut Survival) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File(content) => content.cut_power(survival),
                Node::Directory(names) => names.cut_power(survival),
            }
        }
        let mut named = BTreeSet::from([ROOT]);
        let mut to_visit = vec![ROOT];
        while let Some(inode) = to_visit.pop() {
            if let Some(Node::Directory(names)) = self.nodes.get(&inode) {
                to_visit.extend(names.iter().map(|(_, inode)| inode).filter(|inode| named.insert(*inode)));
            }
        }
        self.nodes.retain(|inode, _| named.contains(inode));
    }
}

#[cfg(test)]
mod tests;
