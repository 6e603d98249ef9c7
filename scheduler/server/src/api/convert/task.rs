//! What a run executes.

use punctual_proto::v1;
use punctual_scheduler_domain::job::{ExecTask, Task};
use punctual_scheduler_domain::name::Kind;

use super::fields::{Fields, join};

/// The two ways in which a request names a task; job and one-off run have a `oneof` each.
pub(super) enum Given<'a> {
    Exec(&'a v1::ExecTask),
    Kind(&'a str),
}

/// A task whose fields stand in the message at `at`. Its bounds are the domain's to check.
pub(super) fn read_task(
    fields: &mut Fields,
    at: &str,
    given: Option<Given<'_>>,
    payload: &str,
) -> Option<Task> {
    match given {
        Some(Given::Exec(exec)) => {
            if !payload.is_empty() {
                fields.refuse(
                    join(at, "payload"),
                    "a program takes no payload: hand it over in `exec.argv` or `exec.env`",
                );
            }
            Some(Task::Exec(ExecTask {
                argv: exec.argv.clone(),
                env: exec.env.clone(),
                working_dir: exec.working_dir.clone(),
            }))
        }
        Some(Given::Kind(kind)) => {
            let kind = fields.take(join(at, "kind"), Kind::new(kind))?;
            Some(Task::Handler { kind, payload: payload.to_owned() })
        }
        None => {
            fields.refuse(
                join(at, "kind"),
                "nothing to run: set `exec` (a program), or `kind` (a worker's handler)",
            );
            None
        }
    }
}

pub(super) fn exec_to_proto(exec: &ExecTask) -> v1::ExecTask {
    v1::ExecTask { argv: exec.argv.clone(), env: exec.env.clone(), working_dir: exec.working_dir.clone() }
}
