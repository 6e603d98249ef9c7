//! What a Postgres is started with.

use std::path::PathBuf;

/// What a Postgres is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the cluster is kept, made when missing. Where the user that Postgres runs as cannot reach it, the cluster
    /// goes elsewhere and this directory holds a file that says where.
    pub data_dir: PathBuf,
    /// Settings on top of Postgres's defaults and ours, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// A port on 127.0.0.1 to listen on, beside the unix socket.
    pub listen_tcp: Option<u16>,
}

impl Options {
    /// A cluster in `data_dir` with the default settings and no TCP.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), settings: Vec::new(), listen_tcp: None }
    }
}
