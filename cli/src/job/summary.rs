//! Jobs in few words.

use punctual_proto::v1::{After, AfterOn, Dialect, ExecTask, Job, Schedule, job, schedule};

use crate::output::instant;

/// When a job runs: `cron 0 9 * * * Europe/Berlin`, `every 5m`.
pub(super) fn schedules(job: &Job) -> String {
    let each: Vec<String> = job.schedule.iter().map(schedule_text).collect();
    if each.is_empty() { "when triggered".to_owned() } else { each.join("; ") }
}

fn schedule_text(schedule: &Schedule) -> String {
    let mut words = match &schedule.when {
        Some(schedule::When::Cron(cron)) => vec![format!("cron {cron}")],
        Some(schedule::When::Every(every)) => vec![format!("every {}", duration(every))],
        Some(schedule::When::At(at)) => vec![format!("at {at}")],
        Some(schedule::When::After(after)) => vec![format!("after {}{}", after.jobs.join(", "), ends(after))],
        Some(schedule::When::Delay(delay)) => vec![format!("{} after each run", duration(delay))],
        Some(schedule::When::Rrule(lines)) => vec![format!("rrule {lines}")],
        None => vec!["?".to_owned()],
    };
    let dialect = Dialect::try_from(schedule.dialect).unwrap_or_default();
    if !matches!(dialect, Dialect::Unspecified | Dialect::Standard) {
        words.push(format!("({})", dialect.as_str_name().trim_start_matches("DIALECT_").to_lowercase()));
    }
    if !schedule.zone.is_empty() && schedule.zone != "UTC" {
        words.push(schedule.zone.clone());
    }
    if let Some(start) = &schedule.start {
        words.push(format!("from {}", instant(Some(start))));
    }
    if let Some(end) = &schedule.end {
        words.push(format!("until {}", instant(Some(end))));
    }
    if schedule.max_count > 0 {
        words.push(format!("{} times", schedule.max_count));
    }
    if !schedule.exclude.is_empty() {
        words.push(format!("except {}", schedule.exclude.join(", ")));
    }
    if let Some(jitter) = &schedule.jitter {
        words.push(format!("jitter {}", duration(jitter)));
    }
    words.join(" ")
}

/// Which ends, unless it is the usual ones.
fn ends(after: &After) -> &'static str {
    match after.on() {
        AfterOn::Unspecified | AfterOn::Success => "",
        AfterOn::Failure => " (on failure)",
        AfterOn::Any => " (on any end)",
    }
}

fn duration(duration: &prost_types::Duration) -> String {
    match std::time::Duration::try_from(*duration) {
        Ok(duration) => humantime::format_duration(duration).to_string(),
        Err(_) => duration.to_string(),
    }
}

/// What a job runs: the program with its arguments, or the kind.
pub(super) fn task(job: &Job) -> String {
    match &job.task {
        Some(job::Task::Exec(ExecTask { argv, .. })) => {
            argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
        }
        Some(job::Task::Kind(kind)) => format!("kind {kind}"),
        None => String::new(),
    }
}

/// As one would have to write it for a shell, so that it is seen where an argument ends.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
