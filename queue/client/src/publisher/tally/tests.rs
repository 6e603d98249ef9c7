use super::*;

fn refused(code: &str) -> PublishOutcome {
    PublishOutcome::Refused { code: code.to_owned(), text: String::new() }
}

const YES: PublishOutcome = PublishOutcome::Acknowledged;
const LOST: PublishOutcome = PublishOutcome::Unknown(UnknownReason::ConnectionLost);
const AWAY: PublishOutcome = PublishOutcome::NotSent(NotSent::NotConnected);

/// Notes what nodes `a`, `b`, … do one after another. All but the last must leave the publish open.
#[track_caller]
fn check(mut tally: Tally, outcomes: &[PublishOutcome], is_over: bool, expect: (PublishOutcome, &str, &str)) {
    for (place, outcome) in outcomes.iter().enumerate() {
        assert!(!tally.is_over(), "over before {outcome:?}");
        let node = NodeAddress::new(char::from(b'a' + u8::try_from(place).unwrap()).to_string());
        tally.note(Attempt { node: &node, outcome: outcome.clone(), in_part: false });
    }
    assert_eq!(tally.is_over(), is_over);
    let Publication { outcome, acknowledged, in_doubt } = tally.end();
    let text = |nodes: Vec<NodeAddress>| nodes.iter().map(|node| node.tcp().to_owned()).collect::<String>();
    assert_eq!((outcome, text(acknowledged).as_str(), text(in_doubt).as_str()), expect);
}

fn once() -> Tally {
    Tally::new(1, Repeat::Never)
}

fn repeated() -> Tally {
    Tally::new(1, Repeat::WhenUnknown)
}

#[test]
fn what_one_node_cannot_store_another_may() {
    check(once(), &[YES], true, (YES, "a", ""));
    check(once(), &[refused("E_PUB_FAILED"), AWAY, YES], true, (YES, "c", ""));
    check(once(), &[refused("E_MPUB_FAILED")], false, (refused("E_MPUB_FAILED"), "", ""));
    check(once(), &[refused("E_PUB_FAILED"), AWAY], false, (refused("E_PUB_FAILED"), "", ""));
    check(once(), &[AWAY], false, (AWAY, "", ""));
    check(once(), &[], false, (AWAY, "", ""));
}

#[test]
fn what_one_node_s_authority_does_not_say_another_s_may() {
    for code in ["E_AUTH_FAILED", "E_AUTH_FIRST", "E_INVALID"] {
        check(once(), &[refused(code), YES], true, (YES, "b", ""));
        check(once(), &[refused(code)], false, (refused(code), "", ""));
    }
}

#[test]
fn what_is_wrong_in_itself_is_tried_nowhere_else() {
    for outcome in [
        refused("E_BAD_MESSAGE"),
        refused("E_BAD_TOPIC"),
        refused("E_UNAUTHORIZED"),
        PublishOutcome::NotSent(NotSent::EmptyMessage),
    ] {
        check(repeated(), std::slice::from_ref(&outcome), true, (outcome.clone(), "", ""));
    }
}

#[test]
fn a_doubt_ends_it_unless_the_caller_takes_copies() {
    check(once(), &[LOST], true, (LOST, "", "a"));
    check(once(), &[refused("E_PUB_FAILED"), LOST], true, (LOST, "", "b"));
    check(repeated(), &[LOST, YES], true, (YES, "b", "a"));
    check(repeated(), &[LOST, refused("E_PUB_FAILED")], false, (LOST, "", "a"));
    check(repeated(), &[LOST, AWAY], false, (LOST, "", "a"));
}

#[test]
fn a_stock_node_that_fails_halfway_may_have_the_first_half() {
    let mut tally = once();
    let node = NodeAddress::new("a");
    tally.note(Attempt { node: &node, outcome: refused("E_MPUB_FAILED"), in_part: true });
    assert!(tally.is_over());
    let expect = Publication {
        outcome: PublishOutcome::Unknown(UnknownReason::Partly),
        acknowledged: vec![],
        in_doubt: vec![node],
    };
    assert_eq!(tally.end(), expect);
}

#[test]
fn copies_are_made_until_there_are_enough() {
    let two = || Tally::new(2, Repeat::WhenUnknown);
    check(two(), &[YES, YES], true, (YES, "ab", ""));
    check(two(), &[YES, LOST, YES], true, (YES, "ac", "b"));
    check(two(), &[YES, refused("E_PUB_FAILED")], false, (refused("E_PUB_FAILED"), "a", ""));
    check(two(), &[YES], false, (AWAY, "a", ""));
    check(Tally::new(0, Repeat::Never), &[], true, (YES, "", ""));
}

#[test]
fn a_node_is_waited_for_only_while_none_was_reached() {
    let after = |outcomes: &[PublishOutcome]| {
        let mut tally = repeated();
        for outcome in outcomes {
            let node = NodeAddress::new("a");
            tally.note(Attempt { node: &node, outcome: outcome.clone(), in_part: false });
        }
        tally.may_wait()
    };
    assert!(after(&[]) && after(&[AWAY]));
    assert!(!after(&[AWAY, PublishOutcome::NotSent(NotSent::TimedOut)]));
    assert!(!after(&[LOST]) && !after(&[AWAY, refused("E_PUB_FAILED")]) && !after(&[YES]));
}
