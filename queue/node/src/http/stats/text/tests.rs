use super::*;
use crate::latency::{LatencyStats, Percentile};
use crate::stats::PublishCount;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_367_304 + seconds, 0).unwrap()
}

fn shown(topics: Option<Vec<TopicStats>>, producers: Vec<ClientStats>) -> Shown {
    Shown {
        version: "1.3.0",
        health: "OK".to_owned(),
        start_time: at(0).timestamp(),
        topics,
        memory: None,
        producers: Some(producers),
        drain: None,
    }
}

fn client(remote_address: &str, user_agent: &str) -> ClientStats {
    ClientStats {
        version: "V2",
        hostname: "hn".to_owned(),
        remote_address: remote_address.to_owned(),
        user_agent: user_agent.to_owned(),
        connect_ts: at(0).timestamp(),
        ..ClientStats::default()
    }
}

/// Two topics, a channel with a consumer, one that is paused, and a producer.
fn a_bit_of_everything() -> Shown {
    let consumer = ClientStats {
        state: 3,
        in_flight_count: 2,
        ready_count: 2,
        message_count: 2,
        ..client("127.0.0.1:55546", "ua/1")
    };
    let producer = ClientStats {
        pub_counts: vec![
            PublishCount { topic: "h1".parse().unwrap(), count: 1 },
            PublishCount { topic: "h2".parse().unwrap(), count: 2 },
        ],
        ..client("[::1]:55554", "wua")
    };
    let percentiles = vec![
        Percentile { quantile: 0.99, value: 2_500_000_000 },
        Percentile { quantile: 0.5, value: 1_200_000 },
    ];
    let channel = ChannelStats {
        depth: 7,
        in_flight_count: 2,
        deferred_count: 1,
        message_count: 10,
        clients: Some(vec![consumer]),
        e2e_processing_latency: LatencyStats { count: 2, percentiles: Some(percentiles) },
        ..ChannelStats::named("c1".parse().unwrap())
    };
    let paused = ChannelStats { paused: true, ..ChannelStats::named("c2".parse().unwrap()) };
    let first = TopicStats {
        message_count: 10,
        channels: vec![channel, paused],
        ..TopicStats::named("h1".parse().unwrap())
    };
    let second = TopicStats { paused: true, depth: 123_456, ..TopicStats::named("h2".parse().unwrap()) };
    Shown { memory: Some(MemoryStats::default()), ..shown(Some(vec![first, second]), vec![producer]) }
}

#[test]
fn columns_stand_where_nsqd_has_them() {
    let version = format!("nsqd v1.3.0 (built w/punctual {})", env!("CARGO_PKG_VERSION"));
    let expect = [
        &version,
        "start_time 2026-11-22T17:08:24Z",
        "uptime 1h1m5s",
        "",
        "Health: OK",
        "",
        "Memory:",
        "   heap_objects             \t0",
        "   heap_idle_bytes          \t0",
        "   heap_in_use_bytes        \t0",
        "   heap_released_bytes      \t0",
        "   gc_pause_usec_100        \t0",
        "   gc_pause_usec_99         \t0",
        "   gc_pause_usec_95         \t0",
        "   next_gc_bytes            \t0",
        "   gc_total_runs            \t0",
        "",
        "Topics:",
        "   [h1             ] depth: 0     be-depth: 0     msgs: 10       e2e%: ",
        concat!(
            "      [c1                       ] depth: 7     be-depth: 0     inflt: 2    def: 1    ",
            "re-q: 0     timeout: 0     msgs: 10       e2e%: 2.5s, 1.2ms",
        ),
        concat!(
            "        [V2 hn:55546 ua/1        ] state: 3 inflt: 2    rdy: 2    fin: 0        ",
            "re-q: 0        msgs: 2        connected: 1h1m5s",
        ),
        concat!(
            "   *P [c2                       ] depth: 0     be-depth: 0     inflt: 0    def: 0    ",
            "re-q: 0     timeout: 0     msgs: 0        e2e%: ",
        ),
        "",
        "*P [h2             ] depth: 123456 be-depth: 0     msgs: 0        e2e%: ",
        "",
        "Producers:",
        "   [V2 hn:55554 wua         ] msgs: 3        topics: h1=1,h2=2 connected: 1h1m5s",
        "",
    ];
    assert_eq!(render(&a_bit_of_everything(), at(0), at(3665)), expect.join("\n"));
}

#[test]
fn what_is_not_there_is_said() {
    for topics in [None, Some(Vec::new())] {
        let text = render(&shown(topics, Vec::new()), at(0), at(0));
        let (_, rest) = text.split_once("uptime ").unwrap();
        assert_eq!(rest, "0s\n\nHealth: OK\n\nTopics: None\n\nProducers: None\n");
    }
}

#[test]
fn durations_are_printed_as_go_does() {
    for (duration, expect) in [
        (Duration::ZERO, "0s"),
        (Duration::from_nanos(1), "1ns"),
        (Duration::from_nanos(1_100), "1.1µs"),
        (Duration::from_micros(2_200), "2.2ms"),
        (Duration::from_millis(999), "999ms"),
        (Duration::from_nanos(1_325_501_866), "1.325501866s"),
        (Duration::from_millis(3_300), "3.3s"),
        (Duration::from_secs(60), "1m0s"),
        (Duration::from_millis(3_723_500), "1h2m3.5s"),
        (Duration::from_secs(100 * 3600), "100h0m0s"),
        (Duration::from_nanos(3_600_000_000_001), "1h0m0.000000001s"),
    ] {
        assert_eq!(go_duration(duration), expect);
    }
}
