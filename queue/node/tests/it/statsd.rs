//! What is pushed to a statsd.

use std::collections::BTreeMap;
use std::time::Duration;

use punctual_queue_node::options::{NodeOptions, StatsdOptions};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::fixture::{Fixture, PATIENCE};

/// What has come: the last value of each gauge, and the sum of each counter.
#[derive(Debug, Default)]
struct Received(BTreeMap<String, i64>);

impl Received {
    fn take(&mut self, packet: &str) {
        assert!(packet.len() <= 508 && packet.ends_with('\n'), "{} bytes: {packet}", packet.len());
        for line in packet.lines() {
            let (name, rest) = line.split_once(':').unwrap();
            let (value, kind) = rest.split_once('|').unwrap();
            let before = if kind == "c" { self.0.get(name).copied().unwrap_or(0) } else { 0 };
            self.0.insert(name.to_owned(), before + value.parse::<i64>().unwrap());
        }
    }

    fn has(&self, prefix: &str, figures: &[(&str, i64)]) -> bool {
        figures.iter().all(|(name, value)| self.0.get(&format!("{prefix}{name}")) == Some(value))
    }
}

#[tokio::test]
async fn statistics_are_pushed_in_small_packets_under_nsqds_names() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let fixture = Fixture::new();
    let statsd = StatsdOptions {
        statsd_address: Some(socket.local_addr().unwrap().to_string()),
        statsd_interval: Duration::from_millis(50),
        statsd_exclude_ephemeral: true,
        ..fixture.options().statsd
    };
    let node = fixture.start_with(NodeOptions { statsd, ..fixture.options() }).await;
    let mut consumer = node.subscribe("orders", "mail", 2).await;
    node.subscribe("orders", "tail#ephemeral", 0).await;
    node.publish("orders", &["one", "three"]).await;
    consumer.expect_message("one").await;
    let second = consumer.expect_message("three").await;
    consumer.requeue(&second, 3_600_000).await;

    let prefix = format!("nsq.127_0_0_1_{}.", node.http.port());
    let expected = [
        ("topic.orders.message_count", 2),
        ("topic.orders.message_bytes", 8),
        ("topic.orders.depth", 0),
        ("topic.orders.backend_depth", 0),
        ("topic.orders.channel.mail.message_count", 2),
        ("topic.orders.channel.mail.depth", 0),
        ("topic.orders.channel.mail.backend_depth", 0),
        ("topic.orders.channel.mail.in_flight_count", 1),
        ("topic.orders.channel.mail.deferred_count", 1),
        ("topic.orders.channel.mail.requeue_count", 1),
        ("topic.orders.channel.mail.timeout_count", 0),
        ("topic.orders.channel.mail.clients", 1),
        ("mem.gc_runs", 0),
    ];
    let mut received = Received::default();
    let mut packet = [0; 2048];
    let arrived = async {
        while !received.has(&prefix, &expected) {
            let bytes = socket.recv(&mut packet).await.unwrap();
            received.take(std::str::from_utf8(&packet[..bytes]).unwrap());
        }
    };
    if timeout(PATIENCE, arrived).await.is_err() {
        panic!("not all has come: {received:#?}");
    }
    assert!(received.0.keys().all(|name| name.starts_with(&prefix) && !name.contains("ephemeral")));
    assert!(received.0[&format!("{prefix}mem.heap_in_use_bytes")] > 100_000);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_statsd_that_is_not_there_holds_nothing_up() {
    let fixture = Fixture::new();
    let statsd = StatsdOptions {
        statsd_address: Some("nowhere.invalid:8125".to_owned()),
        statsd_interval: Duration::from_millis(1),
        ..fixture.options().statsd
    };
    let node = fixture.start_with(NodeOptions { statsd, ..fixture.options() }).await;
    node.publish("t", &["m"]).await;
    node.stop().await.unwrap();
}
