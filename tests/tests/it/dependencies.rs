//! Arrows between the crates go one way.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::ensure;
use cargo_metadata::{DependencyKind, MetadataCommand};

/// Who may depend on whom. `*`: on any of ours. Development dependencies may add `punctual-postgres` and the
/// [`SERVERS`].
const TABLE: &[(&str, &[&str])] = &[
    ("punctual-proto", &[]),
    ("punctual-service", &[]),
    ("punctual-postgres", &[]),
    ("punctual-queue-wire", &[]),
    ("punctual-queue-log", &[]),
    ("punctual-queue-node", &["punctual-queue-wire", "punctual-queue-log", "punctual-service"]),
    ("punctual-queue-lookup", &["punctual-queue-wire", "punctual-service"]),
    ("punctual-queue-client", &["punctual-queue-wire"]),
    ("punctual-queue-tools", &["punctual-queue-client", "punctual-queue-wire"]),
    ("punctual-scheduler-domain", &[]),
    (
        "punctual-scheduler",
        &["punctual-scheduler-domain", "punctual-proto", "punctual-queue-client", "punctual-service"],
    ),
    ("punctual-worker", &["punctual-proto", "punctual-queue-client", "punctual-service"]),
    ("punctual", &["*"]),
    ("punctual-tests", &["punctual-proto", "punctual-queue-client", "punctual-postgres", "punctual-verify"]),
    ("punctual-verify", &[]),
    ("punctual-fuzzed", &["punctual-queue-wire"]),
    ("punctual-bench", &["punctual-queue-client", "punctual-proto", "punctual-postgres"]),
    ("xtask", &["punctual-postgres"]),
];

/// What a client's tests are a client of.
const SERVERS: &[(&str, &[&str])] = &[
    ("punctual-queue-client", &["punctual-queue-node", "punctual-queue-lookup"]),
    ("punctual-queue-tools", &["punctual-queue-node", "punctual-queue-lookup"]),
];

#[test]
fn crates_depend_only_on_what_the_design_lets_them() -> anyhow::Result<()> {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()?;
    let allowed: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut broken = Vec::new();
    for package in &metadata.packages {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            broken.push(format!("{} is not in the table", package.name));
            continue;
        };
        for dependency in
            package.dependencies.iter().filter(|dependency| ours.contains(dependency.name.as_str()))
        {
            let name = dependency.name.as_str();
            let in_development = dependency.kind == DependencyKind::Development
                && (name == "punctual-postgres"
                    || name == package.name.as_str()
                    || SERVERS.iter().any(|(client, servers)| {
                        *client == package.name.as_str() && servers.contains(&name)
                    }));
            if !in_development && !allowed.contains(&name) && !allowed.contains(&"*") {
                broken.push(format!("{} depends on {name}", package.name));
            }
        }
    }
    for (name, _) in TABLE.iter().filter(|(name, _)| !ours.contains(name)) {
        broken.push(format!("{name} is in the table and not in the workspace"));
    }
    assert_eq!(broken, Vec::<String>::new());
    Ok(())
}

#[test]
fn the_pure_crates_know_no_runtime_and_no_database() -> anyhow::Result<()> {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()?;
    for pure in ["punctual-queue-wire", "punctual-scheduler-domain", "punctual-verify"] {
        let package = metadata.packages.iter().find(|package| package.name.as_str() == pure);
        let package = package.ok_or_else(|| anyhow::anyhow!("there is no {pure}"))?;
        let impure = package.dependencies.iter().find(|dependency| {
            dependency.kind == DependencyKind::Normal && ["tokio", "sqlx"].contains(&dependency.name.as_str())
        });
        assert!(impure.is_none(), "{pure} depends on {impure:?}");
    }
    Ok(())
}

/// What does TLS, or brings something that does.
const TLS: &[&str] =
    &["rustls", "ring", "openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys", "boring"];

#[test]
fn what_is_shipped_has_one_implementation_of_tls() -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = Command::new(cargo)
        .args(["tree", "--package", "punctual", "--edges", "normal", "--prefix", "none", "--offline"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()?;
    let (shown, complaint) = (String::from_utf8(tree.stdout)?, String::from_utf8_lossy(&tree.stderr));
    ensure!(tree.status.success(), "cargo tree: {complaint}");
    let packages = shown.lines().filter_map(|line| line.split_once(' '));
    let found: BTreeSet<_> = packages
        .filter(|(name, _)| TLS.contains(name))
        .map(|(name, rest)| (name, rest.split(' ').next()))
        .collect();
    let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
    // Each once: another version of one of them would be here twice.
    assert_eq!(names, ["ring", "rustls"], "{found:?}");
    Ok(())
}
