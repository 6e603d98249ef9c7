//! Consumers in the node's zone and region come first, when that is asked for.

use punctual_queue_node::options::{Experiment, NodeOptions};
use punctual_queue_wire::frame::Frame;
use serde_json::{Value, json};

use crate::fixture::{Client, Fixture, Running};

fn somewhere(fixture: &Fixture, experiments: Vec<Experiment>) -> NodeOptions {
    let mut options = fixture.options();
    options.topology.topology_region = "eu".to_owned();
    options.topology.topology_zone = "eu-1".to_owned();
    options.topology.experiments = experiments;
    options
}

/// A consumer of `t:c` with this RDY that says where it stands, and what the node answered.
async fn consumer_at(node: &Running, region: &str, zone: &str, ready: u32) -> (Client, Value) {
    let mut client = node.connect().await;
    let identify =
        json!({ "feature_negotiation": true, "topology_region": region, "topology_zone": zone }).to_string();
    let mut command = b"IDENTIFY\n".to_vec();
    command.extend((identify.len() as u32).to_be_bytes());
    command.extend(identify.as_bytes());
    client.send(&command).await;
    let Some(Frame::Response(answer)) = client.next().await else { panic!("no answer") };
    client.send(b"SUB t c\n").await;
    client.expect_ok().await;
    client.send(format!("RDY {ready}\n").as_bytes()).await;
    (client, serde_json::from_slice(&answer).unwrap())
}

async fn ready(node: &Running, consumers: usize) {
    node.wait_for("t", "c", "client_count", consumers as u64).await;
    let all_ready = async {
        loop {
            let stats = node.channel_stats("t", "c").await;
            if stats["clients"].as_array().unwrap().iter().all(|client| client["ready_count"] != 0) {
                return;
            }
        }
    };
    tokio::time::timeout(crate::fixture::PATIENCE, all_ready).await.unwrap();
}

fn counts(stats: &Value) -> [Option<u64>; 3] {
    ["zone_local_msg_count", "region_local_msg_count", "global_msg_count"].map(|key| stats[key].as_u64())
}

#[tokio::test]
async fn the_nearest_consumer_that_wants_a_message_gets_it() {
    let fixture = Fixture::new();
    let options = somewhere(&fixture, vec![Experiment::TopologyAwareConsumption]);
    let node = fixture.start_with(options).await;
    let (mut far, answer) = consumer_at(&node, "us", "us-1", 9).await;
    assert_eq!((&answer["topology_region"], &answer["topology_zone"]), (&json!("eu"), &json!("eu-1")));
    let (mut region, _) = consumer_at(&node, "eu", "eu-2", 1).await;
    let (mut zone, _) = consumer_at(&node, "eu", "eu-1", 2).await;
    ready(&node, 3).await;
    node.publish("t", &["1", "2", "3", "4"]).await;
    zone.expect_message("1").await;
    zone.expect_message("2").await;
    region.expect_message("3").await;
    far.expect_message("4").await;
    assert_eq!(counts(&node.channel_stats("t", "c").await), [Some(2), Some(1), Some(1)]);
    let info: Value = node.get("/info").await.json().await.unwrap();
    assert_eq!((&info["topology_region"], &info["topology_zone"]), (&json!("eu"), &json!("eu-1")));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn unless_it_is_asked_for_everyone_has_a_turn() {
    let fixture = Fixture::new();
    let node = fixture.start_with(somewhere(&fixture, vec![])).await;
    let (mut far, _) = consumer_at(&node, "us", "us-1", 9).await;
    let (mut zone, _) = consumer_at(&node, "eu", "eu-1", 9).await;
    ready(&node, 2).await;
    node.publish("t", &["1", "2"]).await;
    far.message().await;
    zone.message().await;
    assert_eq!(counts(&node.channel_stats("t", "c").await), [None, None, Some(2)]);
    node.stop().await.unwrap();
}
