use super::*;

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn event(seconds: i64, kind: JobEventKind, version: u32) -> JobEvent {
    JobEvent { at: at(seconds), since: None, kind, actor: "me".to_owned(), version, note: String::new() }
}

fn a_life() -> Vec<JobEvent> {
    vec![
        event(10, JobEventKind::Created, 1),
        event(20, JobEventKind::Updated, 2),
        event(30, JobEventKind::Paused, 2),
        event(40, JobEventKind::RolledBack, 3),
        event(50, JobEventKind::Resumed, 3),
        event(60, JobEventKind::Exhausted, 3),
        event(70, JobEventKind::Deleted, 3),
    ]
}

#[test]
fn an_instant_belongs_to_what_was_in_force_before_the_event_of_its_time() {
    let events = a_life();
    let timeline = Timeline::new(&events);
    let check = |seconds, expect: Option<(u32, JobState)>| {
        let found = timeline.at(at(seconds)).map(|standing| (standing.version, standing.state));
        assert_eq!(found, expect, "at {seconds}");
    };
    check(10, None);
    check(11, Some((1, JobState::Active)));
    check(20, Some((1, JobState::Active)));
    check(21, Some((2, JobState::Active)));
    check(30, Some((2, JobState::Active)));
    check(31, Some((2, JobState::Paused)));
    check(41, Some((3, JobState::Paused)));
    check(51, Some((3, JobState::Active)));
    check(61, Some((3, JobState::Exhausted)));
    check(71, Some((3, JobState::Deleted)));
}

#[test]
fn a_standing_names_what_made_it_so() {
    let events = a_life();
    let standing = Timeline::new(&events).at(at(45)).unwrap();
    assert_eq!(standing.state_by, &events[2], "changed while paused, it is the pause that holds");
    assert_eq!(standing.defined_by, &events[3]);
}

#[test]
fn a_job_is_planned_between_its_pauses_version_by_version() {
    let events = a_life();
    let spans = Timeline::new(&events).planned(at(0), at(100));
    let seconds: Vec<_> = spans
        .iter()
        .map(|span| (span.version, span.from.timestamp_micros(), span.until.timestamp_micros()))
        .collect();
    let just_after = |seconds: i64| seconds * 1_000_000 + 1;
    assert_eq!(
        seconds,
        [
            (1, just_after(10), just_after(20)),
            (2, just_after(20), just_after(30)),
            (3, just_after(50), just_after(70)),
        ]
    );
    assert_eq!(
        Timeline::new(&events).planned(at(22), at(25)),
        [PlannedSpan { version: 2, from: at(22), until: at(25) }]
    );
    assert_eq!(Timeline::new(&events).planned(at(32), at(40)), []);
}

#[test]
fn a_resume_that_catches_up_leaves_nothing_of_the_pause() {
    let mut events = a_life();
    // What fell due since the pause is planned after all, under the version of then.
    events[4].since = Some(at(30) + chrono::TimeDelta::microseconds(1));
    let timeline = Timeline::new(&events);
    let standing = timeline.at(at(35)).unwrap();
    assert_eq!((standing.version, standing.state), (3, JobState::Active));
    assert_eq!(timeline.at(at(30)).map(|standing| standing.version), Some(2));
    let versions: Vec<_> = timeline.planned(at(0), at(100)).iter().map(|span| span.version).collect();
    assert_eq!(versions, [1, 2, 3]);
    let whole = timeline.planned(at(25), at(65));
    assert_eq!((whole[0].until, whole[1].from), (whole[1].from, whole[0].until), "without a gap");
}

#[test]
fn a_pause_that_ended_by_itself_is_made_up_for_from_its_end_on() {
    let mut resumed = event(50, JobEventKind::Resumed, 1);
    resumed.since = Some(at(45));
    let events = [event(10, JobEventKind::Created, 1), event(30, JobEventKind::Paused, 1), resumed];
    let timeline = Timeline::new(&events);
    let state = |seconds| timeline.at(at(seconds)).unwrap().state;
    assert_eq!((state(44), state(45), state(50)), (JobState::Paused, JobState::Active, JobState::Active));
    assert_eq!(timeline.planned(at(40), at(60)), [PlannedSpan { version: 1, from: at(45), until: at(60) }]);
}
