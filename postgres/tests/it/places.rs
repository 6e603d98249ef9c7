//! Who Postgres runs as, and where its files go.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use punctual_postgres::{Options, Postgres};

use crate::holder::{Holder, STRANGER, as_stranger, is_root};

#[test]
fn a_plain_user_runs_it_as_itself() {
    let dir = tempfile::tempdir().unwrap();
    if !is_root() {
        return; // then every other test shows it
    }
    chown(dir.path(), Some(STRANGER), Some(STRANGER)).unwrap();
    let mut holder = Holder::spawn_with(dir.path(), as_stranger);
    let postmaster = holder.says("postmaster ");
    assert_eq!(fs::metadata(format!("/proc/{postmaster}")).unwrap().uid(), STRANGER);
    holder.release();
    // Root goes on with what the user made, as that user.
    let postgres = Postgres::start(Options::new(dir.path())).unwrap();
    assert_eq!(fs::metadata(format!("/proc/{}", postgres.pid())).unwrap().uid(), STRANGER);
}

#[test]
fn root_runs_it_as_somebody_else() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let postgres = Postgres::start(Options::new(dir.path())).unwrap();
    assert_ne!(fs::metadata(format!("/proc/{}", postgres.pid())).unwrap().uid(), 0);
    assert!(dir.path().join("postgres/cluster/PG_VERSION").exists());
}

#[test]
fn below_a_closed_home_roots_cluster_goes_elsewhere_and_is_found_again() {
    if !is_root() {
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let data_dir = closed.path().join("data");
    let postgres = Postgres::start(Options::new(&data_dir)).unwrap();
    postgres.execute("postgres", "create table kept ()").unwrap();
    let note = fs::read_to_string(data_dir.join("postgres.location")).unwrap();
    assert!(note.contains("cluster: /var/lib/punctual/"), "{note}");
    assert!(note.contains("cannot reach"), "{note}");
    postgres.stop().unwrap();

    let moved = closed.path().join("moved");
    fs::rename(&data_dir, &moved).unwrap();
    let postgres = Postgres::start(Options::new(&moved)).unwrap();
    postgres.execute("postgres", "select * from kept").unwrap();
    let socket_dir = postgres.socket_dir().to_owned();
    postgres.destroy().unwrap();
    assert!(!socket_dir.exists() && !moved.join("postgres.location").exists());
}

#[test]
fn a_path_too_long_for_a_socket_puts_the_socket_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let data_dir = dir.path().join("long".repeat(30)).join("data");
    let postgres = Postgres::start(Options::new(&data_dir)).unwrap();
    assert!(data_dir.join("postgres/cluster/PG_VERSION").exists(), "the cluster stays");
    assert!(!postgres.socket_dir().starts_with(&data_dir));
    let note = fs::read_to_string(data_dir.join("postgres.location")).unwrap();
    assert!(note.contains(&format!("socket: {}", postgres.socket_dir().display())), "{note}");
    postgres.execute("postgres", "select 1").unwrap();
    postgres.destroy().unwrap();
}

#[test]
fn anothers_cluster_is_refused_with_its_owner() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let first = Postgres::start(Options::new(dir.path())).unwrap();
    let owner = fs::metadata(dir.path().join("postgres")).unwrap().uid();
    first.stop().unwrap();
    if owner == STRANGER {
        return; // there is no user postgres here: no second user at hand
    }
    fs::set_permissions(dir.path().join("postgres"), fs::Permissions::from_mode(0o755)).unwrap();
    chown(dir.path().join("postgres.lock"), Some(STRANGER), Some(STRANGER)).unwrap();
    let mut holder = Holder::spawn_with(dir.path(), as_stranger);
    let error = holder.says("error ");
    assert!(error.contains(&format!("belongs to user {owner}")), "{error}");
}
