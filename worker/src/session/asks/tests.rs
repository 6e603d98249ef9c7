use punctual_proto::v1::Gone;

use super::*;

fn ringing(runs: &[&str], now: Instant) -> Asks<String> {
    let mut asks = Asks::new();
    for run in runs {
        let doorbell = Doorbell { run_id: (*run).to_owned(), dispatch: 1, ..Default::default() };
        asks.add(doorbell, format!("message of {run}"), now);
    }
    asks
}

fn message(run: &str) -> String {
    format!("message of {run}")
}

fn gone(reason: Reason) -> Option<Answer> {
    Some(Answer::Gone(Gone { reason: reason.into() }))
}

fn not_due(ms: u64) -> Option<Answer> {
    Some(Answer::NotDue(NotDue { wait: Duration::from_millis(ms).try_into().ok() }))
}

#[track_caller]
fn check(answer: Option<Answer>, expect: Decision<String>) {
    let now = Instant::now();
    let mut asks = ringing(&["a"], now);
    assert_eq!(asks.next_batch(10, now), [("a".to_owned(), 1)]);
    let stays = expect == Decision::Wait;
    assert_eq!(asks.answered("a", answer, now), expect);
    assert_eq!(asks.is_empty(), !stays);
}

#[test]
fn every_answer_says_what_becomes_of_the_message() {
    let granted = Granted { run_id: "a".into(), attempt: 3, ..Default::default() };
    let now = Instant::now();
    let mut asks = ringing(&["a"], now);
    assert_eq!(
        asks.answered("a", Some(Answer::Granted(granted.clone())), now),
        Decision::Execute { message: message("a"), granted, dispatch: 1, received: now }
    );

    check(gone(Reason::UnknownRun), Decision::Finish(message("a")));
    check(gone(Reason::NotQueued), Decision::Finish(message("a")));
    check(gone(Reason::Held), Decision::Finish(message("a")));
    check(gone(Reason::Superseded), Decision::Finish(message("a")));
    check(gone(Reason::Unspecified), Decision::Finish(message("a")));
    check(gone(Reason::SessionLost), Decision::SessionLost(message("a")));
    check(not_due(0), Decision::Wait);
    check(not_due(100), Decision::Wait);
    check(not_due(101), Decision::Requeue(message("a"), Duration::from_millis(101)));
    check(not_due(86_400_000), Decision::Requeue(message("a"), Duration::from_secs(3_600)));
    check(None, Decision::Requeue(message("a"), Duration::from_secs(1)));
}

#[test]
fn what_is_not_due_is_asked_again_when_it_is() {
    let now = Instant::now();
    let mut asks = ringing(&["a"], now);
    asks.next_batch(10, now);
    asks.answered("a", not_due(40), now);
    assert_eq!(asks.next_due(), Some(now + Duration::from_millis(40)));
    assert!(asks.next_batch(10, now + Duration::from_millis(39)).is_empty());
    assert_eq!(asks.next_batch(10, now + Duration::from_millis(40)).len(), 1);
    assert_eq!(asks.next_due(), None);
}

#[test]
fn a_batch_takes_the_oldest_and_nothing_twice() {
    let now = Instant::now();
    let mut asks = ringing(&["a", "b", "c"], now);
    assert_eq!(asks.next_batch(2, now), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    assert_eq!(asks.next_batch(2, now), [("c".to_owned(), 1)]);
    assert!(asks.next_batch(2, now).is_empty());
}

#[test]
fn without_an_answer_a_message_is_kept_for_thirty_seconds_and_then_given_back() {
    let start = Instant::now();
    let mut asks = ringing(&["a"], start);
    let runs = ["a".to_owned()];
    let mut now = start;
    while now < start + Duration::from_secs(30) {
        assert_eq!(asks.next_batch(10, now).len(), 1, "asked again after {:?}", now - start);
        assert!(asks.unanswered(&runs, now).is_empty(), "kept after {:?}", now - start);
        assert_eq!(asks.messages(&runs).count(), 1);
        now += ASK_AGAIN;
    }
    asks.next_batch(10, now);
    assert_eq!(asks.unanswered(&runs, now), [(message("a"), Duration::from_secs(1))]);
    assert!(asks.is_empty());
}

#[test]
fn a_drain_leaves_only_what_a_scheduler_is_being_asked_for() {
    let now = Instant::now();
    let mut asks = ringing(&["asked", "later", "waiting"], now);
    asks.next_batch(2, now);
    asks.answered("later", not_due(50), now);
    let mut back = asks.take_unasked();
    back.sort();
    assert_eq!(back, [message("later"), message("waiting")]);
    assert_eq!(asks.runs().collect::<Vec<_>>(), ["asked"]);
    assert_eq!((asks.next_due(), asks.next_batch(10, now).len()), (None, 0));
    assert_eq!(asks.take_all(), [message("asked")]);
}
