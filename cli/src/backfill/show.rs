//! Backfills as tables and lines.

use comfy_table::Cell;
use punctual_proto::v1::{Backfill, BackfillState, CreateBackfillResponse, Overlap, RunState};

use crate::output::{Style, details, instant, table};

/// A line for each backfill.
pub(super) fn list(backfills: &[Backfill], style: Style) -> String {
    if backfills.is_empty() {
        return "No backfills.".to_owned();
    }
    let rows = backfills.iter().map(|backfill| {
        vec![
            Cell::new(&backfill.id),
            Cell::new(&backfill.job),
            style.state(&state(backfill)),
            Cell::new(instant(backfill.from.as_ref())),
            Cell::new(instant(backfill.until.as_ref())),
            Cell::new(format!("{} of {}", backfill.planned - backfill.live, backfill.instants)),
        ]
    });
    table(style, &["ID", "JOB", "STATE", "FROM", "UNTIL", "ENDED"], rows)
}

/// Everything about one backfill.
pub(super) fn one(backfill: &Backfill, style: Style) -> String {
    let mut rows = vec![
        ("Id", Cell::new(&backfill.id)),
        ("Namespace", Cell::new(&backfill.namespace)),
        ("Job", Cell::new(&backfill.job)),
        ("Job version", Cell::new(backfill.job_version)),
        ("State", style.state(&state(backfill))),
        ("Reason", Cell::new(&backfill.state_reason)),
        ("From", Cell::new(instant(backfill.from.as_ref()))),
        ("Until", Cell::new(instant(backfill.until.as_ref()))),
        ("Overlap", Cell::new(overlap(backfill))),
        ("Created", Cell::new(instant(backfill.created_at.as_ref()))),
        ("Instants", Cell::new(backfill.instants)),
        ("Planned", Cell::new(backfill.planned)),
        ("Live", Cell::new(backfill.live)),
        ("Ended", Cell::new(ended(backfill))),
    ];
    rows.retain(|(_, cell)| !cell.content().is_empty());
    details(style, rows)
}

/// What was asked for, or would be.
pub(super) fn answer(job: &str, answer: &CreateBackfillResponse) -> String {
    if let Some(backfill) = &answer.backfill {
        return format!("backfill {} of {job}: {}", backfill.id, runs(answer.instants));
    }
    let mut text = format!("{} of {job}\n", runs(answer.instants));
    for at in &answer.first {
        text.push_str(&format!("  {}\n", instant(Some(at))));
    }
    if answer.instants > answer.first.len() as u64 {
        text.push_str("  …\n");
    }
    text
}

fn runs(count: u64) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}

/// What became of a request to cancel.
pub(super) fn cancelled(backfill: &Backfill) -> String {
    match (backfill.state(), backfill.live) {
        (BackfillState::Cancelled, 0) => format!("cancelled {}\n", backfill.id),
        (BackfillState::Cancelled, live) => format!("cancelled {}; {live} of its runs go on\n", backfill.id),
        _ => format!("{} is {} already\n", backfill.id, state(backfill)),
    }
}

fn state(backfill: &Backfill) -> String {
    match BackfillState::try_from(backfill.state) {
        Ok(state) => state.as_str_name().trim_start_matches("BACKFILL_STATE_").to_lowercase(),
        Err(_) => backfill.state.to_string(),
    }
}

fn overlap(backfill: &Backfill) -> String {
    match Overlap::try_from(backfill.overlap) {
        Ok(overlap) => overlap.as_str_name().trim_start_matches("OVERLAP_").to_lowercase(),
        Err(_) => backfill.overlap.to_string(),
    }
}

/// `12 succeeded, 1 failed`.
fn ended(backfill: &Backfill) -> String {
    let each = backfill.ended.iter().map(|ended| {
        let state = RunState::try_from(ended.state).map(|state| state.as_str_name());
        let state = state.map_or_else(|_| ended.state.to_string(), |name| name.replace("RUN_STATE_", ""));
        format!("{} {}", ended.runs, state.to_lowercase())
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use punctual_proto::v1::BackfillEnded;

    use super::*;

    #[test]
    fn a_backfill_says_how_far_it_is() {
        let ended = [(RunState::Succeeded, 12), (RunState::Failed, 1)]
            .map(|(state, runs)| BackfillEnded { state: state.into(), runs });
        let backfill = Backfill {
            id: "b1".to_owned(),
            state: BackfillState::Planning.into(),
            instants: 20,
            planned: 15,
            live: 2,
            ended: ended.to_vec(),
            ..Default::default()
        };
        assert!(one(&backfill, Style::PLAIN).contains("12 succeeded, 1 failed"));
        assert!(list(&[backfill], Style::PLAIN).contains("13 of 20"));
    }

    #[test]
    fn a_dry_run_shows_the_first_instants_and_that_there_are_more() {
        let at = prost_types::Timestamp { seconds: 1_796_115_600, nanos: 0 };
        let mut dry = CreateBackfillResponse { backfill: None, instants: 1, first: vec![at] };
        assert_eq!(answer("tick", &dry), "1 run of tick\n  2026-12-01 09:00:00Z\n");
        dry.instants = 2;
        assert!(answer("tick", &dry).ends_with("  …\n"));
    }
}
