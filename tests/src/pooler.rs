//! pgbouncer in transaction mode: each transaction may have another connection.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::port::Port;
use crate::process::Process;
use crate::wait::until;
use crate::{debian, programs};

/// A pooler in front of a Postgres, gone when dropped.
#[derive(Debug)]
pub struct Pooler {
    user: String,
    port: Port,
    _process: Process,
    _dir: TempDir,
}

/// Few enough that transactions of different clients meet on one connection all the time.
const CONNECTIONS: u32 = 20;

impl Pooler {
    /// Whether the tests are to reach Postgres through one: `PUNCTUAL_TEST_POOLED`.
    pub fn is_wanted() -> bool {
        std::env::var_os("PUNCTUAL_TEST_POOLED").is_some()
    }

    /// Starts one in front of the Postgres of `server`, which listens at a socket file.
    ///
    /// # Errors
    /// When pgbouncer is missing and cannot be fetched, with what to install, or does not start.
    pub async fn start(server: &PgConnectOptions) -> anyhow::Result<Self> {
        let socket = server.get_socket().context("pooled tests want a Postgres of their own")?;
        let (user, port) = (server.get_username().to_owned(), Port::claim()?);
        let dir = tempfile::Builder::new().prefix("pooler-").tempdir_in(programs::scratch()?)?;
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        let config = dir.path().join("pgbouncer.ini");
        // A prepared statement outlives its transaction on the connection that another client has next: all is discarded.
        let text = format!(
            "[databases]\n* = host={} port={} user={user}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\nserver_reset_query = DISCARD ALL\n\
             server_reset_query_always = 1\nmax_client_conn = 1000\ndefault_pool_size = {CONNECTIONS}\n\
             ignore_startup_parameters = extra_float_digits\n",
            socket.display(),
            server.get_port(),
            port.number(),
        );
        std::fs::write(&config, text)?;
        let (program, envs) = pgbouncer()?;
        let mut args = vec![config.into_os_string()];
        if nix::unistd::Uid::effective().is_root() {
            args.splice(0..0, ["-u".into(), OsString::from(owner(socket)?)]);
        }
        let process = Process::start_in(envs, "pgbouncer", &program, args, dir.path())?;
        let address = format!("127.0.0.1:{}", port.number());
        until("pgbouncer to listen", Duration::from_secs(10), async || {
            TcpStream::connect(&address).await.map_err(|error| format!("{error}; {}", process.last_lines(5)))
        })
        .await?;
        Ok(Self { user, port, _process: process, _dir: dir })
    }

    /// The URL of `database` through it.
    pub fn url(&self, database: &str) -> String {
        let (user, port) = (&self.user, self.port.number());
        format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable&pgbouncer=true")
    }
}

/// Who may reach the socket, for it will not run as root.
fn owner(socket: &Path) -> anyhow::Result<String> {
    let uid = std::fs::metadata(socket)?.uid();
    let user = nix::unistd::User::from_uid(uid.into())?;
    Ok(user.with_context(|| format!("the owner of {} has no name", socket.display()))?.name)
}

/// The program, and what its environment must hold.
fn pgbouncer() -> anyhow::Result<(PathBuf, Vec<(OsString, OsString)>)> {
    const PROGRAM: &str = "usr/sbin/pgbouncer";
    let installed = Path::new("/").join(PROGRAM);
    if installed.exists() {
        return Ok((installed, Vec::new()));
    }
    let root = debian::unpacked(&["pgbouncer", "libevent-2.1-7", "libc-ares2"])?;
    let libraries =
        debian::library(&root, "libcares.so.2").context("the package libc-ares2 has no library")?;
    let dir = libraries.parent().context("a library is in a directory")?.as_os_str().to_owned();
    let program = root.join(PROGRAM);
    ensure!(program.exists(), "the package pgbouncer has no {PROGRAM}");
    Ok((program, vec![("LD_LIBRARY_PATH".into(), dir)]))
}
