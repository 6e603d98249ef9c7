//! A disk that is full, and one that fails to sync.

use punctual_queue_log::error::AppendError;
use punctual_queue_log::log::Durability;

use crate::fixture::{Fixture, append, begin, read_all, wait};

#[test]
fn a_full_disk_refuses_appends_and_takes_them_again_when_there_is_room() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    append(&log, &[1; 100]).unwrap();
    fixture.disk.set_full(true);
    let mut kept = vec![vec![1; 100]];
    let mut refused = 0;
    for n in 2..60u8 {
        match append(&log, &[n; 40]) {
            Ok(_) => kept.push(vec![n; 40]), // within what was written ahead
            Err(e) => {
                assert!(e.is_full(), "{e:?}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    fixture.disk.set_full(false);
    append(&log, &[99; 40]).unwrap();
    kept.push(vec![99; 40]);
    assert_eq!(read_all(&log).0, kept);

    drop(log);
    let (log, recovery) = fixture.open();
    assert_eq!(recovery.torn_bytes, 0);
    assert_eq!(read_all(&log), (kept.into_iter().map(Into::into).collect(), vec![]));
}

#[test]
fn a_failed_sync_ends_all_acknowledgement() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    append(&log, b"good").unwrap();
    fixture.disk.set_sync_fails(true);
    assert!(matches!(append(&log, b"lost?"), Err(AppendError::SyncFailed)));

    // The next sync would succeed, as on a real disk, and must not be asked.
    fixture.disk.set_sync_fails(false);
    let syncs = fixture.disk.syncs();
    for durability in [Durability::Synced, Durability::Written] {
        assert!(matches!(wait(&begin(&log, b"later", durability)), Err(AppendError::SyncFailed)));
    }
    assert_eq!(fixture.disk.syncs(), syncs);
    fixture.committer.stop();
    assert_eq!(fixture.seen.failures.lock().unwrap().len(), 1);
}

#[test]
fn a_failed_sync_of_one_log_fails_the_waiting_of_all() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    append(&log, b"good").unwrap();
    fixture.disk.set_sync_fails(true);
    let answers: Vec<_> = (0..100u8).map(|n| begin(&log, &[n], Durability::Synced)).collect();
    for answer in &answers {
        assert!(matches!(wait(answer), Err(AppendError::SyncFailed)));
    }
}
