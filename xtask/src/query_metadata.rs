//! `.sqlx/`: what Postgres says about each query, so that a build needs no database.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, ensure};
use punctual_postgres::Postgres;

use crate::cargo::{cargo, require};
use crate::{database, workspace};

/// The crate with all SQL.
const PACKAGE: &str = "punctual-scheduler";
const SOURCE: &str = "scheduler/server/src/lib.rs";

/// Writes `.sqlx/` anew. It stays as it is when a query is wrong.
pub(crate) fn write() -> anyhow::Result<ExitCode> {
    let fresh = read(&generate()?)?;
    let committed = workspace::root().join(".sqlx");
    empty(&committed)?;
    for (name, content) in &fresh {
        let file = committed.join(name);
        fs::write(&file, content).with_context(|| format!("could not write {}", file.display()))?;
    }
    eprintln!("{} queries in .sqlx/", fresh.len());
    Ok(ExitCode::SUCCESS)
}

/// Fails when `.sqlx/` differs from what Postgres says now.
pub(crate) fn require_fresh() -> anyhow::Result<()> {
    let (fresh, committed) = (read(&generate()?)?, read(&workspace::root().join(".sqlx"))?);
    let differing: Vec<_> = fresh
        .keys()
        .chain(committed.keys().filter(|name| !fresh.contains_key(*name)))
        .filter(|name| fresh.get(*name) != committed.get(*name))
        .map(|name| name.to_string_lossy())
        .collect();
    ensure!(differing.is_empty(), ".sqlx/ is stale: run cargo xtask sqlx ({})", differing.join(", "));
    Ok(())
}

/// Asks a Postgres with today's schema about every query. The answers are in the directory returned.
fn generate() -> anyhow::Result<PathBuf> {
    let database = database::throw_away()?;
    migrate(database.postgres())?;
    let dir = workspace::target_dir()?.join("sqlx");
    empty(&dir)?;
    touch(&workspace::root().join(SOURCE))?;
    require(
        cargo(["check", "--quiet", "--package", PACKAGE, "--all-targets"])
            .env("SQLX_OFFLINE", "false")
            .env("SQLX_OFFLINE_DIR", &dir)
            .env("DATABASE_URL", database.postgres().url("postgres")),
    )?;
    Ok(dir)
}

/// Makes a directory, or empties it.
fn empty(dir: &Path) -> anyhow::Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("could not clear {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("could not create {}", dir.display()))
}

/// Applies the migrations as plain SQL. The binary that does it in earnest cannot be built while `.sqlx/` is stale.
fn migrate(postgres: &Postgres) -> anyhow::Result<()> {
    let dir = workspace::root().join("migrations");
    let mut files = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("could not read {}", dir.display()))? {
        files.push(entry?.path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    for file in files {
        let migration =
            fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
        postgres
            .execute("postgres", &migration)
            .with_context(|| format!("could not apply {}", file.display()))?;
    }
    Ok(())
}

/// Makes cargo look at the queries again: it does not know that they depend on a database.
#[expect(clippy::disallowed_methods, reason = "cargo compares files by the time of day they were changed")]
fn touch(source: &Path) -> anyhow::Result<()> {
    File::options()
        .append(true)
        .open(source)
        .and_then(|file| file.set_modified(SystemTime::now()))
        .with_context(|| format!("could not touch {}", source.display()))
}

/// The files of a directory; none when it does not exist.
fn read(dir: &Path) -> anyhow::Result<BTreeMap<OsString, Vec<u8>>> {
    let paths: Vec<PathBuf> = match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| format!("could not read {}", dir.display())),
    };
    let mut files = BTreeMap::new();
    for path in paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"))
    {
        let content = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        files.insert(path.file_name().unwrap_or_default().to_owned(), content);
    }
    Ok(files)
}
