use super::*;

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

fn file() -> Node {
    Node::File(Content::default())
}

fn named(image: &mut Image, inode: Inode) -> Vec<String> {
    let list = image.list(inode).unwrap().into_iter();
    list.map(|(_, name)| name.into_string().unwrap()).collect()
}

/// A file of this name with these bytes, synced, and its name too.
fn durable_file(image: &mut Image, text: &str, bytes: &[u8]) -> Inode {
    let inode = image.create(ROOT, name(text), file()).unwrap();
    image.file(inode).unwrap().write(0, bytes);
    image.file(inode).unwrap().sync(usize::MAX);
    image.directory(ROOT).unwrap().sync();
    inode
}

#[test]
fn a_synced_file_whose_name_was_not_synced_is_gone() {
    let mut image = Image::default();
    let inode = image.create(ROOT, name("segment"), file()).unwrap();
    image.file(inode).unwrap().write(0, b"bytes");
    image.file(inode).unwrap().sync(usize::MAX);
    image.cut_power(&mut Survival::none());
    assert_eq!(image.lookup(ROOT, name("segment")), Err(Errno::ENOENT));
    assert_eq!(image.node(inode).err(), Some(Errno::ENOENT));
}

#[test]
fn a_file_whose_name_was_synced_is_empty_until_its_bytes_are_too() {
    let mut image = Image::default();
    let inode = image.create(ROOT, name("segment"), file()).unwrap();
    image.file(inode).unwrap().write(0, b"bytes");
    image.directory(ROOT).unwrap().sync();
    image.cut_power(&mut Survival::none());
    assert_eq!(image.lookup(ROOT, name("segment")), Ok(inode));
    assert_eq!(image.file(inode).unwrap().length(), 0);
}

#[test]
fn a_rename_without_a_sync_of_the_directory_can_be_undone() {
    let mut image = Image::default();
    let old = durable_file(&mut image, "checkpoint", b"old");
    let new = durable_file(&mut image, "checkpoint.new", b"new");
    image.rename((ROOT, name("checkpoint.new")), (ROOT, name("checkpoint"))).unwrap();
    assert_eq!(image.lookup(ROOT, name("checkpoint")), Ok(new));
    image.cut_power(&mut Survival::none());
    assert_eq!(image.lookup(ROOT, name("checkpoint")), Ok(old));
    assert_eq!(image.lookup(ROOT, name("checkpoint.new")), Ok(new));
}

#[test]
fn a_rename_is_never_half_done() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..50 {
        let mut image = Image::default();
        durable_file(&mut image, "a", b"a");
        image.rename((ROOT, name("a")), (ROOT, name("b"))).unwrap();
        image.cut_power(&mut Survival::from_seed(seed));
        outcomes.insert(named(&mut image, ROOT));
    }
    assert_eq!(outcomes, BTreeSet::from([vec!["a".to_owned()], vec!["b".to_owned()]]));
}

#[test]
fn a_removed_name_comes_back_unless_the_directory_was_synced() {
    let mut image = Image::default();
    durable_file(&mut image, "kept", b"");
    durable_file(&mut image, "gone", b"");
    image.remove(ROOT, name("gone")).unwrap();
    image.directory(ROOT).unwrap().sync();
    image.remove(ROOT, name("kept")).unwrap();
    assert!(named(&mut image, ROOT).is_empty());
    image.cut_power(&mut Survival::none());
    assert_eq!(named(&mut image, ROOT), ["kept"]);
}

#[test]
fn what_lies_in_a_directory_goes_with_its_unsynced_name() {
    let mut image = Image::default();
    let inner = image.create(ROOT, name("topic"), Node::Directory(Names::default())).unwrap();
    image.create(inner, name("log"), file()).unwrap();
    image.directory(inner).unwrap().sync();
    image.cut_power(&mut Survival::none());
    assert!(named(&mut image, ROOT).is_empty());
    assert_eq!(image.list(inner), Err(Errno::ENOENT));
}

#[test]
fn a_directory_with_something_in_it_is_not_removed() {
    let mut image = Image::default();
    let inner = image.create(ROOT, name("topic"), Node::Directory(Names::default())).unwrap();
    image.create(inner, name("log"), file()).unwrap();
    assert_eq!(image.remove(ROOT, name("topic")), Err(Errno::ENOTEMPTY));
}
