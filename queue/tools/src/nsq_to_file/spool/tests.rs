use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use tempfile::TempDir;

use super::super::file_name::Naming;
use super::*;

struct Fixture {
    dir: TempDir,
    work: bool,
    gzip: bool,
    skip_empty: bool,
    rotation: Rotation,
}

impl Fixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        Self { dir, work: false, gzip: false, skip_empty: false, rotation: Rotation::default() }
    }

    /// A spool as a process has it that starts now.
    fn spool(&self) -> Spool {
        let naming = Naming {
            format: "t<REV>.<DATETIME>".to_owned(),
            datetime_format: "%H".to_owned(),
            host: String::new(),
            pid: 1,
            gzip: self.gzip,
            revised: self.gzip || self.work || self.rotation != Rotation::default(),
        };
        let output = self.dir.path().join("output");
        let work = if self.work { self.dir.path().join("work") } else { output.clone() };
        let options = SpoolOptions {
            directories: Directories::new(work, output),
            rotation: self.rotation,
            gzip: self.gzip.then(|| Compression::new(6)),
            skip_empty: self.skip_empty,
        };
        Spool::new(options, FileNames::new(&naming, "t").unwrap())
    }

    /// The files there are, with what they have, newlines as spaces.
    #[track_caller]
    fn check(&self, expect: &[(&str, &str)]) {
        let mut files = BTreeMap::new();
        self.read(self.dir.path(), &mut files);
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.trim_end())).collect();
        assert_eq!(files, expect);
    }

    fn read(&self, dir: &Path, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.read(&path, files);
                continue;
            }
            let mut text = String::new();
            let file = fs::File::open(&path).unwrap();
            if self.gzip {
                // What can be read of it.
                let _cut_off = MultiGzDecoder::new(file).read_to_string(&mut text);
            } else {
                fs::File::open(&path).unwrap().read_to_string(&mut text).unwrap();
            }
            let name = path.strip_prefix(self.dir.path()).unwrap().to_str().unwrap().to_owned();
            files.insert(name, text.replace('\n', " "));
        }
    }
}

/// `hour:minute`
fn at(time: &str) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(&format!("2026-02-03T{time}:00Z")).unwrap()
}

/// `hour:minute=body`, several apart by spaces.
fn records(text: &str) -> Vec<Record> {
    let record = |part: &str| {
        let (time, body) = part.split_once('=').unwrap();
        Record { body: Bytes::copy_from_slice(body.as_bytes()), at: at(time) }
    };
    text.split(' ').map(record).collect()
}

#[test]
fn each_message_goes_to_the_file_of_its_time() {
    let fixture = Fixture::new();
    let mut spool = fixture.spool();
    assert!(spool.write(&records("10:00=a")).unwrap());
    assert!(!spool.write(&records("10:59=b")).unwrap());
    assert!(spool.write(&records("10:59=c 11:00=d")).unwrap());
    fixture.check(&[("output/t.10", "a b c"), ("output/t.11", "d")]);
}

#[test]
fn a_plain_file_is_added_to_after_a_restart() {
    let fixture = Fixture::new();
    fixture.spool().write(&records("10:00=a")).unwrap();
    fixture.spool().write(&records("10:01=b")).unwrap();
    fixture.check(&[("output/t.10", "a b")]);
}

#[test]
fn a_file_that_was_moved_away_is_made_anew_once_it_is_closed() {
    let fixture = Fixture::new();
    let mut spool = fixture.spool();
    spool.write(&records("10:00=a")).unwrap();
    let file = fixture.dir.path().join("output/t.10");
    fs::rename(&file, file.with_extension("1")).unwrap();
    spool.write(&records("10:01=b")).unwrap();
    spool.close().unwrap();
    spool.write(&records("10:02=c")).unwrap();
    fixture.check(&[("output/t.1", "a b"), ("output/t.10", "c")]);
}

#[test]
fn a_compressed_file_is_never_added_to() {
    let fixture = Fixture { gzip: true, ..Fixture::new() };
    let mut spool = fixture.spool();
    spool.write(&records("10:00=a")).unwrap();
    spool.close().unwrap();
    spool.write(&records("10:01=b 11:00=c")).unwrap();
    spool.close().unwrap();
    fixture.spool().write(&records("10:02=d")).unwrap(); // and is killed before the sync
    fixture.check(&[
        ("output/t-000000.10.gz", "a"),
        ("output/t-000000.11.gz", "c"),
        ("output/t-000001.10.gz", "b"),
        ("output/t-000002.10.gz", ""),
    ]);
}

#[test]
fn a_file_is_rotated_once_it_is_larger_than_allowed() {
    let rotation = Rotation { bytes: Some(4), interval: None };
    let fixture = Fixture { rotation, ..Fixture::new() };
    fixture.spool().write(&records("10:00=a 10:00=b 10:00=c 10:00=d")).unwrap();
    fixture.check(&[("output/t-000000.10", "a b c"), ("output/t-000001.10", "d")]);
    // One that has room is filled after a restart.
    fixture.spool().write(&records("10:00=e 10:00=f 10:00=g")).unwrap();
    fixture.check(&[
        ("output/t-000000.10", "a b c"),
        ("output/t-000001.10", "d e f"),
        ("output/t-000002.10", "g"),
    ]);
}

#[test]
fn a_file_is_rotated_once_it_is_older_than_allowed() {
    let rotation = Rotation { bytes: None, interval: Some(Duration::from_secs(600)) };
    let fixture = Fixture { rotation, skip_empty: true, ..Fixture::new() };
    let mut spool = fixture.spool();
    spool.write(&records("10:00=a 10:10=b 10:11=c")).unwrap();
    spool.tick(&at("10:22")).unwrap();
    assert!(spool.write(&records("10:22=d")).unwrap());
    fixture.spool().write(&records("10:23=e")).unwrap();
    fixture.check(&[
        ("output/t-000000.10", "a b"),
        ("output/t-000001.10", "c"),
        ("output/t-000002.10", "d"),
        ("output/t-000003.10", "e"),
    ]);
}

#[test]
fn a_tick_makes_an_empty_file_unless_they_are_skipped() {
    let fixture = Fixture::new();
    let mut spool = fixture.spool();
    spool.tick(&at("10:00")).unwrap();
    spool.tick(&at("10:30")).unwrap();
    spool.tick(&at("11:00")).unwrap();
    fixture.check(&[("output/t.10", ""), ("output/t.11", "")]);

    let fixture = Fixture { skip_empty: true, ..Fixture::new() };
    let mut spool = fixture.spool();
    spool.tick(&at("10:00")).unwrap();
    spool.write(&records("10:01=a")).unwrap();
    spool.tick(&at("11:00")).unwrap();
    spool.tick(&at("12:00")).unwrap();
    fixture.check(&[("output/t.10", "a")]);
}

#[test]
fn a_complete_file_is_moved_to_the_output_directory_and_replaces_none() {
    let fixture = Fixture { work: true, ..Fixture::new() };
    let mut spool = fixture.spool();
    spool.write(&records("10:00=a")).unwrap();
    fixture.check(&[("work/t-000000.10", "a")]);
    // Another process, or a person, puts a file there meanwhile.
    fs::write(fixture.dir.path().join("output/t-000000.10"), "x").unwrap();
    fs::write(fixture.dir.path().join("output/t-000001.10"), "y").unwrap();
    spool.write(&records("11:00=b")).unwrap();
    spool.close().unwrap();
    fixture.check(&[
        ("output/t-000000.10", "x"),
        ("output/t-000000.11", "b"),
        ("output/t-000001.10", "y"),
        ("output/t-000002.10", "a"),
    ]);
    // A name that is taken there is not used here.
    fixture.spool().write(&records("10:00=c")).unwrap();
    fixture.check(&[
        ("output/t-000000.10", "x"),
        ("output/t-000000.11", "b"),
        ("output/t-000001.10", "y"),
        ("output/t-000002.10", "a"),
        ("work/t-000003.10", "c"),
    ]);
}

#[test]
fn a_file_that_a_crash_left_in_the_work_directory_is_gone_on_with() {
    let fixture = Fixture { work: true, ..Fixture::new() };
    fixture.spool().write(&records("10:00=a")).unwrap();
    let mut spool = fixture.spool();
    spool.write(&records("10:01=b")).unwrap();
    spool.close().unwrap();
    fixture.check(&[("output/t-000000.10", "a b")]);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.dir.path().join("output/t.10")).unwrap();
    let error = fixture.spool().write(&records("10:00=a")).unwrap_err();
    assert_eq!(error.what, "open");
}
