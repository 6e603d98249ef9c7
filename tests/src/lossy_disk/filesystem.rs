//! A lossy disk as the kernel asks for it.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::errno::Errno;
use parking_lot::Mutex;

use super::content::Content;
use super::faults::Faults;
use super::image::{Image, Inode, Node};
use super::names::Names;

/// The kernel remembers nothing, so that it sees at once what a power cut has left.
const NOT_REMEMBERED: Duration = Duration::ZERO;

/// What the test and the kernel's side have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) image: Mutex<Image>,
    pub(super) faults: Faults,
}

/// What the kernel calls.
#[derive(Debug)]
pub(super) struct LossyFilesystem(pub(super) Arc<Shared>);

impl Shared {
    fn attributes(&self, inode: Inode) -> Result<FileAttr, Errno> {
        let image = self.image.lock();
        let (kind, perm, size) = match image.node(inode)? {
            Node::File(content) => (FileType::RegularFile, 0o644, content.length() as u64),
            Node::Directory(_) => (FileType::Directory, 0o755, 0),
        };
        Ok(FileAttr {
            ino: INodeNo(inode.0),
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn refuse(&self) -> Errno {
        self.faults.refused();
        Errno::ENOSPC
    }

    fn create(&self, parent: INodeNo, name: &OsStr, node: Node) -> Result<FileAttr, Errno> {
        if self.faults.is_full() {
            return Err(self.refuse());
        }
        let inode = self.image.lock().create(Inode(parent.0), name, node)?;
        self.attributes(inode)
    }

    /// Writes as much as there is room for, and says how much that was.
    fn write(&self, inode: Inode, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        self.faults.take_time();
        let offset = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
        let mut image = self.image.lock();
        let file = image.file(inode)?;
        let room = if self.faults.is_full() { file.length().saturating_sub(offset) } else { data.len() };
        let data = &data[..room.min(data.len())];
        if data.is_empty() {
            return Err(self.refuse());
        }
        file.write(offset, data);
        Ok(data.len())
    }

    fn set_length(&self, inode: Inode, length: u64) -> Result<(), Errno> {
        let length = usize::try_from(length).map_err(|_| Errno::EFBIG)?;
        let mut image = self.image.lock();
        let file = image.file(inode)?;
        if length > file.length() && self.faults.is_full() {
            return Err(self.refuse());
        }
        file.set_length(length);
        Ok(())
    }

    /// What was written when the sync was called for is what it makes durable.
    fn sync(&self, inode: Inode) -> Result<(), Errno> {
        let fails = self.faults.sync_fails();
        let unsynced = self.image.lock().file(inode)?.unsynced();
        self.faults.take_time();
        let mut image = self.image.lock();
        let file = image.file(inode)?;
        if fails {
            file.lose(unsynced);
            return Err(Errno::EIO);
        }
        file.sync(unsynced);
        Ok(())
    }

    fn sync_names(&self, inode: Inode) -> Result<(), Errno> {
        self.faults.take_time();
        self.image.lock().directory(inode)?.sync();
        Ok(())
    }
}

fn code(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno as i32)
}

fn answer(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(code(errno)),
    }
}

fn answer_entry(reply: ReplyEntry, result: Result<FileAttr, Errno>) {
    match result {
        Ok(attributes) => reply.entry(&NOT_REMEMBERED, &attributes, Generation(0)),
        Err(errno) => reply.error(code(errno)),
    }
}

fn answer_attributes(reply: ReplyAttr, result: Result<FileAttr, Errno>) {
    match result {
        Ok(attributes) => reply.attr(&NOT_REMEMBERED, &attributes),
        Err(errno) => reply.error(code(errno)),
    }
}

impl Filesystem for LossyFilesystem {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let inode = self.0.image.lock().lookup(Inode(parent.0), name);
        answer_entry(reply, inode.and_then(|inode| self.0.attributes(inode)));
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        answer_attributes(reply, self.0.attributes(Inode(inode.0)));
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let inode = Inode(inode.0);
        let done = size.map_or(Ok(()), |length| self.0.set_length(inode, length));
        answer_attributes(reply, done.and_then(|()| self.0.attributes(inode)));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        answer_entry(reply, self.0.create(parent, name, Node::Directory(Names::default())));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.0.image.lock().remove(Inode(parent.0), name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, self.0.image.lock().remove(Inode(parent.0), name));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((Inode(parent.0), name), (Inode(new_parent.0), new_name));
        answer(reply, self.0.image.lock().rename(from, to));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.0.create(parent, name, Node::File(Content::default())) {
            Ok(attributes) => reply.created(
                &NOT_REMEMBERED,
                &attributes,
                Generation(0),
                FileHandle(0),
                FopenFlags::FOPEN_DIRECT_IO,
            ),
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        match self.0.image.lock().file(Inode(inode.0)) {
            Ok(file) => reply.data(file.read(offset, size as usize)),
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.write(Inode(inode.0), offset, data) {
            Ok(written) => reply.written(written as u32),
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(reply, self.0.sync(Inode(inode.0)));
    }

    fn fsyncdir(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(reply, self.0.sync_names(Inode(inode.0)));
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, after: u64, mut reply: ReplyDirectory) {
        let mut image = self.0.image.lock();
        let names = match image.list(Inode(inode.0)) {
            Ok(names) => names,
            Err(errno) => return reply.error(code(errno)),
        };
        // The place of an entry is its inode, so that none is passed over when others go meanwhile.
        for (entry, name) in names.iter().filter(|(entry, _)| entry.0 > after) {
            let kind = match image.node(*entry) {
                Ok(Node::Directory(_)) => FileType::Directory,
                Ok(Node::File(_)) | Err(_) => FileType::RegularFile,
            };
            if reply.add(INodeNo(entry.0), entry.0, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
