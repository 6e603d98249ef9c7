use std::os::unix::fs::PermissionsExt;

use super::*;

struct Machine {
    dir: tempfile::TempDir,
    surroundings: Surroundings,
}

impl Machine {
    /// A machine on which this process is root, or a plain user.
    fn with(account: Account, runtime: bool) -> Self {
        let dir = tempfile::Builder::new().prefix("p").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let runtime = runtime.then(|| dir.path().join("run"));
        let surroundings = Surroundings { account, shared: dir.path().join("shared"), runtime };
        Self { dir, surroundings }
    }

    fn data_dir(&self, name: &str, mode: u32) -> PathBuf {
        let dir = self.dir.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        dir
    }

    fn decide(&self, data_dir: &Path) -> Placement {
        Placement::decide(data_dir, &self.surroundings)
    }
}

fn root() -> Account {
    Account::dropped_to(4_000_000_000, 4_000_000_000)
}

#[test]
fn a_cluster_goes_into_its_data_directory_where_it_can() {
    let machine = Machine::with(root(), false);
    let data_dir = machine.data_dir("data", 0o755);
    let placement = machine.decide(&data_dir);
    assert_eq!(placement.home, data_dir.join("postgres"));
    assert_eq!(placement.socket_dir, data_dir.join("postgres/socket"));
    assert_eq!(placement.reason, None);
}

#[test]
fn below_a_closed_directory_roots_cluster_goes_to_the_shared_place() {
    let machine = Machine::with(root(), false);
    let data_dir = machine.data_dir("closed", 0o700).join("data");
    let placement = machine.decide(&data_dir);
    assert_eq!(placement.home.parent(), Some(machine.surroundings.shared.as_path()));
    assert!(placement.reason.unwrap().contains("cannot reach"));
    let other = machine.decide(&machine.dir.path().join("closed/other"));
    assert_ne!(placement.home, other.home, "each data directory has its own");
}

#[test]
fn a_plain_users_cluster_stays_in_a_closed_directory() {
    let machine = Machine::with(Account::for_tests(), false);
    let data_dir = machine.data_dir("closed", 0o700).join("data");
    assert_eq!(machine.decide(&data_dir).home, data_dir.join("postgres"));
}

#[test]
fn a_plain_users_long_socket_path_goes_to_the_runtime_directory_or_tmp() {
    let long = "d".repeat(100);
    let machine = Machine::with(Account::for_tests(), true);
    let placement = machine.decide(&machine.data_dir(&long, 0o755));
    assert!(placement.socket_dir.starts_with(machine.dir.path().join("run/punctual")), "{placement:?}");
    assert!(placement.home.starts_with(machine.dir.path().join(&long)), "{placement:?}");

    let machine = Machine::with(Account::for_tests(), false);
    let placement = machine.decide(&machine.data_dir(&long, 0o755));
    assert!(placement.socket_dir.to_string_lossy().starts_with("/tmp/punctual-"), "{placement:?}");
}

#[test]
fn a_note_is_followed_only_into_the_shared_place() {
    let machine = Machine::with(root(), false);
    let data_dir = machine.data_dir("data", 0o755);
    let cluster_at = |home: &Path| {
        fs::create_dir_all(home.join("cluster")).unwrap();
        fs::write(home.join("cluster/PG_VERSION"), "15\n").unwrap();
        fs::write(data_dir.join(NOTE), format!("Elsewhere.\ncluster: {}/cluster\n", home.display())).unwrap();
    };
    cluster_at(&machine.dir.path().join("evil/home"));
    assert_eq!(machine.decide(&data_dir).home, data_dir.join("postgres"));
    let shared = machine.surroundings.shared.join("0123456789abcdef");
    cluster_at(&shared);
    assert_eq!(machine.decide(&data_dir).home, shared);
}

#[test]
fn somebody_elses_directory_is_no_place_for_a_socket() {
    let machine = Machine::with(Account::for_tests(), true);
    let data_dir = machine.data_dir(&"d".repeat(100), 0o755);
    let placement = machine.decide(&data_dir);
    fs::create_dir_all(placement.socket_dir.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/tmp", &placement.socket_dir).unwrap();
    let error = placement.create(&data_dir, machine.surroundings.account).unwrap_err();
    assert!(matches!(error, PostgresError::ForeignCluster { .. }), "{error}");
}
