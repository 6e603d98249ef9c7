use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::stack::{Stack, dialled};

/// What someone who has just started everything wants to know.
#[derive(Debug, Clone)]
pub(super) struct Welcome {
    /// Where the scheduler serves.
    pub(super) grpc: String,
    queue: String,
    lookup: String,
    data: PathBuf,
    psql: String,
}

impl Welcome {
    /// How to reach what `stack` opened.
    pub(super) fn of(stack: &Stack, data: &Path) -> Self {
        let queue_http = stack.node.http_address().map(ToString::to_string).unwrap_or_default();
        Self {
            grpc: format!("http://{}", dialled(stack.scheduler.grpc_address())),
            queue: format!("{} (HTTP {})", stack.node.tcp_address(), queue_http),
            lookup: format!("{} (HTTP {})", stack.lookup.tcp_address(), stack.lookup.http_address()),
            data: data.to_owned(),
            psql: stack.database.psql(),
        }
    }

    /// Prints it, and then the line that programs wait for: the only one that starts with `ready`.
    pub(super) fn print(&self, after: Duration) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(self.text(after).as_bytes())?;
        out.flush()
    }

    fn text(&self, after: Duration) -> String {
        let Self { grpc, queue, lookup, data, psql } = self;
        let server =
            if grpc == "http://127.0.0.1:7700" { String::new() } else { format!(" --server {grpc}") };
        format!(
            "\
Punctual runs here. Ctrl-C stops it; what it knows stays in {data}.

  gRPC and HTTP  {grpc}
  queue          {queue}
  lookup         {lookup}
  jobs           punctual job list{server}
  runs           punctual run watch{server}
  history        {psql} -c 'select * from punctual.job_history limit 20'

ready after {seconds:.1} s, gRPC at {grpc}
",
            data = data.display(),
            seconds = after.as_secs_f64(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_everything_is_and_ends_with_the_ready_line() {
        let welcome = Welcome {
            grpc: "http://127.0.0.1:7711".into(),
            queue: "127.0.0.1:4150 (HTTP 127.0.0.1:4151)".into(),
            lookup: "127.0.0.1:4160 (HTTP 127.0.0.1:4161)".into(),
            data: "punctual-data".into(),
            psql: "psql 'postgres://punctual@localhost/punctual'".into(),
        };
        let text = welcome.text(Duration::from_millis(2_340));
        assert_eq!(text.lines().filter(|line| line.starts_with("ready")).count(), 1);
        insta::assert_snapshot!(text, @r"
        Punctual runs here. Ctrl-C stops it; what it knows stays in punctual-data.

          gRPC and HTTP  http://127.0.0.1:7711
          queue          127.0.0.1:4150 (HTTP 127.0.0.1:4151)
          lookup         127.0.0.1:4160 (HTTP 127.0.0.1:4161)
          jobs           punctual job list --server http://127.0.0.1:7711
          runs           punctual run watch --server http://127.0.0.1:7711
          history        psql 'postgres://punctual@localhost/punctual' -c 'select * from punctual.job_history limit 20'

        ready after 2.3 s, gRPC at http://127.0.0.1:7711
        ");
    }
}
