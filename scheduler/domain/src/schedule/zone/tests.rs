use super::*;

fn zone(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

#[test]
fn spans_meet_and_cover_all_time() {
    for tz in TZ_VARIANTS {
        let spans: Vec<Span> = Zone::of(tz).spans_from(EARLIEST.timestamp()).collect();
        assert_eq!(spans.first().map(|span| span.start), Some(EARLIEST.timestamp()));
        assert_eq!(spans.last().map(|span| span.end), Some(LATEST.timestamp() + 1));
        for pair in spans.windows(2) {
            assert_eq!(pair[0].end, pair[1].start, "{tz}");
            assert_eq!((pair[0].offset, pair[0].after), (pair[1].before, pair[1].offset), "{tz}");
            assert_ne!(pair[0].offset, pair[1].offset, "{tz}");
        }
    }
}

/// What the walk over spans rests on: a clock change repeats or skips less than the spans beside it last, so that
/// what happens at a border concerns these two spans only.
#[test]
fn every_span_outlasts_the_clock_changes_at_its_ends() {
    for tz in TZ_VARIANTS {
        for span in Zone::of(tz).spans_from(EARLIEST.timestamp()).filter(|span| span.start > 0) {
            let change = (span.offset - span.before).abs().max((span.offset - span.after).abs());
            assert!(span.end - span.start > change + STEP, "{tz}: {span:?}");
        }
    }
}

#[test]
fn between_two_borders_the_offset_is_the_same_every_day() {
    for tz in TZ_VARIANTS {
        for span in Zone::of(tz).spans_from(EARLIEST.timestamp()) {
            let end = span.end.min(LAST_CHANGE + 30 * 366 * 86_400);
            let mut at = span.start;
            while at < end {
                assert_eq!(offset_at(tz, at), span.offset, "{tz} at {}", civil(at));
                at += 86_400;
            }
            assert_eq!(offset_at(tz, end - 1), span.offset, "{tz}");
        }
    }
}

#[test]
fn gaps_and_folds_lie_at_the_borders() {
    let new_york = zone("America/New_York");
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp();
    let naive = |text: &str| text.parse::<NaiveDateTime>().unwrap();
    let summer = new_york.span_at(at("2026-07-01T00:00:00Z"));
    assert!(summer.starts_with_gap());
    assert_eq!(summer.start, at("2026-03-08T07:00:00Z"));
    assert_eq!(summer.gap(), (naive("2026-03-08T02:00:00"), naive("2026-03-08T03:00:00")));
    let winter = new_york.span_at(summer.end);
    assert!(winter.starts_with_fold());
    assert_eq!(winter.fold(), (naive("2026-11-01T01:00:00"), naive("2026-11-01T02:00:00")));
    assert!(summer.repeats_later(naive("2026-11-01T01:00:00")));
    assert!(!summer.repeats_later(naive("2026-11-01T00:59:59")));
    assert!(winter.repeats_earlier(naive("2026-11-01T01:59:59")));
    assert!(!winter.repeats_earlier(naive("2026-11-01T02:00:00")));
}

#[test]
fn an_unknown_zone_gets_the_name_that_looks_most_like_it() {
    for (given, suggestion) in [
        ("Europe/Berlyn", Some("Europe/Berlin")),
        ("europe/berlin", Some("Europe/Berlin")),
        ("America/New York", Some("America/New_York")),
        ("new york", Some("America/New_York")),
        ("Berlin", Some("Europe/Berlin")),
        ("utc", Some("UTC")),
        ("Mars/Olympus_Mons", None),
        ("+02:00", None),
    ] {
        let error = Zone::named(given).unwrap_err();
        let expect =
            ScheduleError::UnknownZone { zone: given.to_owned(), suggestion: suggestion.map(str::to_owned) };
        assert_eq!(error, expect);
    }
    assert_eq!(
        Zone::named("Europe/Berlyn").unwrap_err().to_string(),
        "`Europe/Berlyn` is no time zone; did you mean `Europe/Berlin`?"
    );
    assert_eq!(zone("").name(), "UTC");
}
