//! The one who started Postgres is killed, or Postgres itself is.

use punctual_postgres::{Options, Postgres, PostgresError, ThrowAway};

use crate::holder::Holder;

fn signal(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

fn starts(postgres: &Postgres, expect: u32) {
    let check = format!("do $$ begin assert (select count(*) from starts) = {expect}; end $$");
    postgres.execute("postgres", &check).unwrap();
}

#[test]
fn the_next_start_recovers_after_its_owner_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = Holder::spawn(dir.path());
    let postmaster = holder.says("postmaster ");
    holder.kill();
    let postgres = Postgres::start(Options::new(dir.path())).unwrap();
    // Its name may stay for a while where nobody waits for orphans; a process that has ended has no directory.
    assert!(std::fs::read_link(format!("/proc/{postmaster}/cwd")).is_err(), "the first postmaster has ended");
    starts(&postgres, 1);
}

#[test]
fn the_next_start_recovers_after_owner_and_postmaster_were_killed_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = Holder::spawn(dir.path());
    let postmaster = holder.says("postmaster ").parse().unwrap();
    // Stopped, so that it cannot hear of its owner's death before it is killed itself.
    signal(postmaster, nix::sys::signal::Signal::SIGSTOP);
    holder.kill();
    signal(postmaster, nix::sys::signal::Signal::SIGKILL);
    starts(&Postgres::start(Options::new(dir.path())).unwrap(), 1);
}

#[test]
fn another_process_is_refused_while_the_owner_lives() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = Holder::spawn(dir.path());
    holder.says("postmaster ");
    let error = Postgres::start(Options::new(dir.path())).unwrap_err();
    let owner = holder.pid();
    assert!(matches!(error, PostgresError::InUse { holder: Some(holder), .. } if holder == owner), "{error}");
    holder.release();
    starts(&Postgres::start(Options::new(dir.path())).unwrap(), 1);
}

#[test]
fn a_stale_pid_file_that_names_a_living_stranger_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(Options::new(dir.path())).unwrap();
    let (cluster, socket) = (dir.path().join("postgres/cluster"), postgres.socket_dir().to_owned());
    let pid_file = std::fs::read_to_string(cluster.join("postmaster.pid")).unwrap();
    let own = postgres.pid().to_string();
    postgres.stop().unwrap();
    // As after a crash in a container, where the same id comes back as another process: here, this one.
    let stale = pid_file.replacen(&own, &std::process::id().to_string(), 1);
    std::fs::write(cluster.join("postmaster.pid"), &stale).unwrap();
    std::fs::write(socket.join(".s.PGSQL.5432.lock"), &stale).unwrap();
    std::fs::write(socket.join(".s.PGSQL.5432"), "").unwrap();
    Postgres::start(Options::new(dir.path())).unwrap().execute("postgres", "select 1").unwrap();
}

#[test]
fn a_postmaster_that_dies_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(Options::new(dir.path())).unwrap();
    assert!(postgres.exit_status().is_none());
    signal(postgres.pid(), nix::sys::signal::Signal::SIGKILL);
    while postgres.exit_status().is_none() {
        std::thread::yield_now(); // the runner's time-out ends this when it never comes
    }
    postgres.restart_immediate().unwrap();
    postgres.execute("postgres", "select 1").unwrap();
}

#[test]
fn a_postgres_that_outlived_its_starting_thread_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let postgres = std::thread::spawn(move || Postgres::start(Options::new(path)).unwrap()).join().unwrap();
    postgres.execute("postgres", "select pg_sleep(0.2)").unwrap();
}

#[test]
fn a_killed_throw_away_is_removed_by_the_next() {
    let parent = tempfile::tempdir().unwrap();
    let dead = parent.path().join("4194304-0");
    std::fs::create_dir(&dead).unwrap();
    let mut holder = Holder::spawn(&dead);
    holder.says("postmaster ");
    let living = ThrowAway::start(parent.path(), Vec::new()).unwrap();
    assert!(dead.exists(), "its owner lives");
    holder.kill();
    drop(ThrowAway::start(parent.path(), Vec::new()).unwrap());
    assert!(!dead.exists());
    living.postgres().execute("postgres", "select 1").unwrap();
}
