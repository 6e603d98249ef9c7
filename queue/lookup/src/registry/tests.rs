use proptest::prelude::*;

use super::*;

const INACTIVE_AFTER: Duration = Duration::from_secs(300);
const TOMBSTONE_LIFETIME: Duration = Duration::from_secs(45);
const BOUNDS: Bounds = Bounds { of_node: 4, of_all: 6 };

/// A registry with two identified nodes, `a` and `b`, and the time they were seen.
fn with_two_nodes() -> (Registry, PeerId, PeerId, Instant) {
    let mut registry = Registry::new(INACTIVE_AFTER, TOMBSTONE_LIFETIME, BOUNDS);
    let now = Instant::now();
    for (id, host) in [(1, "a"), (2, "b")] {
        let info = PeerInfo {
            broadcast_address: host.to_owned(),
            tcp_port: 4150,
            http_port: 4151,
            ..PeerInfo::default()
        };
        registry.identify(PeerId(id), &info, format!("10.0.0.{id}:50000"), now);
    }
    (registry, PeerId(1), PeerId(2), now)
}

fn names(topic: &str, channel: Option<&str>) -> Registration {
    Registration { topic: topic.parse().unwrap(), channel: channel.map(|channel| channel.parse().unwrap()) }
}

/// The hosts found for a topic.
fn found(registry: &Registry, topic: &str, now: Instant) -> Option<Vec<String>> {
    let answer = registry.lookup(topic, now)?;
    Some(answer.producers.into_iter().map(|producer| producer.broadcast_address).collect())
}

#[test]
fn a_channel_registers_its_topic_too() {
    let (mut registry, a, b, now) = with_two_nodes();
    registry.register(a, names("t", Some("c"))).unwrap();
    registry.register(b, names("t", None)).unwrap();
    assert_eq!(found(&registry, "t", now), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(registry.channels("t").channels, ["c"]);
    assert_eq!(found(&registry, "other", now), None);
    assert!(registry.channels("other").channels.is_empty());
}

#[test]
fn names_outlive_their_nodes_unless_they_are_ephemeral() {
    let (mut registry, a, _, now) = with_two_nodes();
    for channel in ["kept", "gone#ephemeral"] {
        registry.register(a, names("t", Some(channel))).unwrap();
        registry.unregister(a, &names("t", Some(channel)));
    }
    assert_eq!(registry.channels("t").channels, ["kept"]);
    registry.register(a, names("e#ephemeral", None)).unwrap();
    registry.unregister(a, &names("e#ephemeral", None));
    registry.unregister(a, &names("t", None));
    assert_eq!(registry.topics().topics, ["t"]);
    assert_eq!(found(&registry, "t", now), Some(vec![]));
}

#[test]
fn a_node_that_disconnects_is_removed_everywhere() {
    let (mut registry, a, b, now) = with_two_nodes();
    registry.register(a, names("t", Some("c"))).unwrap();
    registry.register(b, names("t", None)).unwrap();
    registry.disconnect(a);
    assert_eq!(found(&registry, "t", now), Some(vec!["b".to_owned()]));
    assert_eq!(registry.nodes(now).producers.len(), 1);
    assert_eq!(registry.connected(), 1);
}

#[test]
fn a_silent_node_is_not_listed_until_it_pings() {
    let (mut registry, a, b, now) = with_two_nodes();
    registry.register(a, names("t", None)).unwrap();
    registry.register(b, names("t", None)).unwrap();
    let later = now + INACTIVE_AFTER + Duration::from_millis(1);
    registry.ping(b, later);
    assert_eq!(found(&registry, "t", later), Some(vec!["b".to_owned()]));
    assert_eq!(registry.nodes(later).producers.len(), 1);
    registry.ping(a, later);
    assert_eq!(registry.nodes(later).producers.len(), 2);
}

#[test]
fn a_tombstone_hides_a_node_from_one_topic_for_a_while() {
    let (mut registry, a, b, now) = with_two_nodes();
    for topic in ["t", "u"] {
        registry.register(a, names(topic, None)).unwrap();
        registry.register(b, names(topic, None)).unwrap();
    }
    registry.tombstone("t", "a:4151", now);
    registry.tombstone("t", "unknown:1", now);
    registry.register(a, names("t", None)).unwrap();
    assert_eq!(found(&registry, "t", now), Some(vec!["b".to_owned()]));
    assert_eq!(found(&registry, "u", now), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(registry.nodes(now).producers[0].topics, ["t", "u"]);
    assert_eq!(registry.nodes(now).producers[0].tombstones, [true, false]);
    let later = now + TOMBSTONE_LIFETIME;
    assert_eq!(found(&registry, "t", later), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(registry.nodes(later).producers[0].tombstones, [false, false]);
}

#[test]
fn a_tombstone_goes_with_what_it_hides() {
    let (mut registry, a, _, now) = with_two_nodes();
    registry.register(a, names("t", None)).unwrap();
    registry.tombstone("t", "a:4151", now);
    registry.unregister(a, &names("t", None));
    registry.register(a, names("t", None)).unwrap();
    assert_eq!(found(&registry, "t", now), Some(vec!["a".to_owned()]));
}

#[test]
fn debug_tells_times_of_day_also_of_tombstones_that_are_over() {
    let (mut registry, a, b, start) = with_two_nodes();
    registry.register(a, names("t", Some("c"))).unwrap();
    registry.register(b, names("t", None)).unwrap();
    let second = Duration::from_secs(1);
    registry.tombstone("t", "b:4151", start + second);
    registry.ping(b, start + 2 * second);
    let now = Moment { instant: start + 100 * second, unix_ns: 1_000 * 1_000_000_000 };
    let all = registry.debug(now);
    let times = |key: &str| -> Vec<_> {
        let entries = all[key].iter();
        entries.map(|e| (e.broadcast_address.as_str(), e.last_update, e.tombstoned_at)).collect()
    };
    let (first, seen, hidden) = (900_000_000_000, 902_000_000_000, 901_000_000_000);
    assert_eq!(times("client::"), [("a", first, 0), ("b", seen, 0)]);
    assert_eq!(times("topic:t:"), [("a", first, 0), ("b", seen, hidden)]);
    assert_eq!(times("channel:t:c"), [("a", first, 0)]);
    assert!(all["topic:t:"][1].tombstoned && !all["topic:t:"][0].tombstoned);
}

#[test]
fn created_names_need_no_node_and_deleted_ones_are_gone() {
    let (mut registry, a, _, now) = with_two_nodes();
    let Registration { topic, channel } = names("t", Some("c"));
    let channel = channel.unwrap();
    registry.create_channel(topic.clone(), channel.clone()).unwrap();
    assert_eq!(found(&registry, "t", now), Some(vec![]));
    registry.register(a, names("t", Some("c"))).unwrap();
    assert_eq!(registry.delete_channel(&topic, &channel), Ok(()));
    assert_eq!(registry.delete_channel(&topic, &channel), Err(UnknownChannel));
    registry.delete_topic("t");
    registry.delete_topic("t");
    registry.unregister(a, &names("t", Some("c")));
    assert!(registry.topics().topics.is_empty());
}

#[test]
fn a_node_has_no_more_names_than_it_may() {
    let (mut registry, a, b, _) = with_two_nodes();
    registry.register(a, names("t", Some("c"))).unwrap();
    registry.register(a, names("t", Some("d"))).unwrap();
    let refused = registry.register(a, names("u", Some("e")));
    assert_eq!(refused, Err(RegistrationRefused::OfNode(4)));
    assert_eq!(registry.topics().topics, ["t"], "a name that is refused leaves nothing behind");
    registry.register(a, names("u", None)).unwrap();
    registry.register(a, names("t", Some("c"))).unwrap();
    registry.register(b, names("t", Some("c"))).unwrap();
    assert_eq!(registry.register(a, names("v", None)), Err(RegistrationRefused::OfNode(4)));
    registry.unregister(a, &names("t", Some("c")));
    registry.register(a, names("v", None)).unwrap();
    registry.delete_topic("t");
    registry.register(a, names("w", Some("c"))).unwrap();
    assert_eq!(registry.register(a, names("x", None)), Err(RegistrationRefused::OfNode(4)));
}

#[test]
fn there_are_no_more_names_than_there_may_be_also_after_their_nodes_have_gone() {
    let (mut registry, a, b, _) = with_two_nodes();
    for channel in ["c", "d", "e"] {
        registry.register(a, names("t", Some(channel))).unwrap();
    }
    registry.disconnect(a);
    registry.create_topic("u".parse().unwrap()).unwrap();
    registry.register(b, names("v", None)).unwrap();
    let full = Err(RegistrationRefused::OfAll(6));
    assert_eq!(registry.register(b, names("w", None)), full);
    assert_eq!(registry.create_topic("w".parse().unwrap()), full);
    assert_eq!(registry.create_channel("u".parse().unwrap(), "c".parse().unwrap()), full);
    registry.register(b, names("t", Some("c"))).unwrap();
    registry.delete_topic("u");
    registry.register(b, names("w", None)).unwrap();
}

/// Something that happens to a registry: what, to which node, topic and channel.
type Happening = (u8, u64, u8, Option<u8>);

fn happen(registry: &mut Registry, (what, peer, topic, channel): Happening, now: Instant) {
    let name = |number: u8| if number == 0 { "e#ephemeral".to_owned() } else { format!("n{number}") };
    let (peer, channel) = (PeerId(peer), channel.map(name));
    let registration = names(&name(topic), channel.as_deref());
    let Registration { topic, channel } = registration.clone();
    match (what, channel) {
        (0..=3, _) => drop(registry.register(peer, registration)),
        (4 | 5, _) => registry.unregister(peer, &registration),
        (6, _) => {
            registry.disconnect(peer);
            registry.identify(peer, &PeerInfo::default(), String::new(), now);
        }
        (7, None) => drop(registry.create_topic(topic)),
        (7, Some(channel)) => drop(registry.create_channel(topic, channel)),
        (_, None) => registry.delete_topic(topic.as_str()),
        (_, Some(channel)) => drop(registry.delete_channel(&topic, &channel)),
    }
}

proptest! {
    #[test]
    fn names_are_counted_as_they_are(
        happenings in prop::collection::vec((0..9_u8, 1..3_u64, 0..3_u8, prop::option::of(0..3_u8)), 0..60),
    ) {
        let (mut registry, _, _, now) = with_two_nodes();
        for happening in happenings {
            happen(&mut registry, happening, now);
            let channels: usize = registry.topics.values().map(|topic| topic.channels.len()).sum();
            prop_assert_eq!(registry.names, registry.topics.len() + channels);
            prop_assert!(registry.names <= BOUNDS.of_all);
            for (id, peer) in &registry.peers {
                let held = registry.topics.values().map(|topic| {
                    usize::from(topic.producers.contains_key(id))
                        + topic.channels.values().filter(|holders| holders.contains(id)).count()
                });
                prop_assert_eq!(peer.names, held.sum::<usize>());
                prop_assert!(peer.names <= BOUNDS.of_node);
            }
        }
    }
}
