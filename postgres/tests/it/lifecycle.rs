//! From nothing to a served cluster and back.

use std::path::Path;

use punctual_postgres::{Options, Postgres, PostgresError, Source, ThrowAway};

fn start(dir: &Path) -> Postgres {
    Postgres::start(Options::new(dir)).unwrap()
}

#[test]
fn a_cluster_is_made_once_and_keeps_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = start(dir.path());
    postgres.create_database("fleet \"A\"").unwrap();
    postgres.create_database("fleet \"A\"").unwrap(); // a second time changes nothing
    postgres.execute("fleet \"A\"", "create table kept (id int primary key)").unwrap();
    postgres.stop().unwrap();

    let postgres = start(dir.path());
    postgres.execute("fleet \"A\"", "insert into kept values (1)").unwrap();
    let error = postgres.execute("fleet \"A\"", "insert into kept values (1)").unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("duplicate key") && source.contains("23505"), "{source}");
}

#[test]
fn what_was_committed_survives_an_immediate_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut postgres = start(dir.path());
    let first = postgres.pid();
    postgres.execute("postgres", "create table kept (id int)").unwrap();
    postgres.restart_immediate().unwrap();
    assert_ne!(postgres.pid(), first);
    postgres.execute("postgres", "select * from kept").unwrap();
    assert!(postgres.exit_status().is_none());
}

#[test]
fn a_data_directory_in_use_is_refused_and_names_its_user() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path());
    let error = Postgres::start(Options::new(dir.path())).unwrap_err();
    let own = std::process::id();
    assert!(matches!(error, PostgresError::InUse { holder: Some(holder), .. } if holder == own), "{error}");
    first.execute("postgres", "select 1").unwrap(); // and nothing happened to the first
}

#[test]
fn dropping_stops_and_frees_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path());
    let pid = first.pid();
    drop(first);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    drop(start(dir.path()));
}

#[test]
fn settings_reach_the_server_and_bad_ones_show_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let with = |value: &str| Options {
        settings: vec![("work_mem".to_owned(), value.to_owned())],
        ..Options::new(dir.path())
    };
    let postgres = Postgres::start(with("7MB")).unwrap();
    postgres
        .execute("postgres", "do $$ begin assert current_setting('work_mem') = '7MB'; end $$")
        .expect("the setting is in force");
    postgres.stop().unwrap();
    let error = Postgres::start(with("lots")).unwrap_err();
    assert!(matches!(error, PostgresError::EndedEarly { .. }), "{error}");
    assert!(error.to_string().contains("work_mem"), "{error}");
}

#[test]
fn tcp_is_closed_unless_asked_for_and_takes_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = start(dir.path());
    assert_eq!(postgres.tcp_url("postgres").unwrap(), None);
    postgres
        .execute("postgres", "do $$ begin assert current_setting('listen_addresses') = ''; end $$")
        .unwrap();
    postgres.stop().unwrap();

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let postgres = Postgres::start(Options { listen_tcp: Some(free), ..Options::new(dir.path()) }).unwrap();
    let url = postgres.tcp_url("postgres").unwrap().expect("TCP was asked for");
    assert!(url.contains(&format!("@127.0.0.1:{free}/postgres")), "{url}");
    std::net::TcpStream::connect(("127.0.0.1", free)).unwrap();
    postgres
        .execute(
            "postgres",
            "do $$ begin assert (select bool_and(auth_method = 'scram-sha-256') from pg_hba_file_rules where type = 'host'); end $$",
        )
        .unwrap();
    postgres.execute("postgres", "select 1").unwrap(); // the socket serves on this port too
}

#[test]
fn a_throw_away_postgres_leaves_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let first = ThrowAway::start(parent.path(), Vec::new()).unwrap();
    let second = ThrowAway::start(parent.path(), Vec::new()).unwrap();
    first.postgres().execute("postgres", "select 1").unwrap();
    second.postgres().execute("postgres", "select 1").unwrap();
    drop((first, second));
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_given_url_is_used_as_it_is() {
    let source = Source::obtain(Some("postgres://db/punctual".to_owned()), Options::new("/nowhere")).unwrap();
    assert_eq!(source.url("punctual"), "postgres://db/punctual");
}

#[test]
fn psql_understands_the_command_to_look_inside() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = start(dir.path());
    postgres.create_database("look inside").unwrap();
    let command = postgres.psql_command("look inside");
    if std::process::Command::new("psql").arg("--version").output().is_err() {
        return; // some sources of Postgres bring none
    }
    let shown = std::process::Command::new("sh")
        .args(["-c", &format!("{command} -Atc 'select current_database()'")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "look inside\n", "{shown:?}");
}
