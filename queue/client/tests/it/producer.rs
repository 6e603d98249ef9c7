//! Publishing to one node.

use std::time::Duration;

use bytes::Bytes;
use punctual_queue_client::{
    connection::{ConnectionError, ConnectionOptions, ProtocolViolation},
    identity::NodeIdentity,
    producer::{NotSent, Producer, ProducerOptions, PublishOutcome, UnknownReason},
};
use punctual_queue_wire::{
    command::Command,
    frame::{HEARTBEAT, OK},
    name::TopicName,
};
use tokio::io::AsyncWriteExt;

use crate::node::{Node, Peer};

fn topic() -> TopicName {
    "orders".parse().expect("a topic's name")
}

fn bodies<const N: usize>(bodies: [&'static str; N]) -> Vec<Bytes> {
    bodies.map(Bytes::from).into()
}

async fn connect(options: ProducerOptions) -> anyhow::Result<(Producer, Peer)> {
    let node = Node::start().await?;
    let address = node.address();
    let (producer, peer) = tokio::join!(Producer::connect(&address, options), node.accept(Some("n1")));
    Ok((producer?, peer?))
}

#[tokio::test]
async fn one_message_is_a_pub_and_several_are_an_mpub() -> anyhow::Result<()> {
    let (producer, mut peer) = connect(ProducerOptions::default()).await?;
    assert!(peer.identify.feature_negotiation);
    assert_eq!(producer.identity(), Some(&NodeIdentity::NodeId("n1".to_owned())));
    let node = async {
        let first = peer.command().await?;
        assert_eq!(first, Command::Pub { topic: topic(), body: Bytes::from("a") });
        peer.respond(OK).await?;
        let second = peer.command().await?;
        assert_eq!(second, Command::Mpub { topic: topic(), bodies: ["b", "c"].into_iter().collect() });
        peer.respond(OK).await
    };
    let client = async {
        let topic = topic();
        let one = producer.publish(&topic, bodies(["a"])).await;
        (one, producer.publish(&topic, bodies(["b", "c"])).await)
    };
    let (outcomes, node) = tokio::join!(client, node);
    node?;
    assert_eq!(outcomes, (PublishOutcome::Acknowledged, PublishOutcome::Acknowledged));
    Ok(())
}

#[tokio::test]
async fn publishes_do_not_wait_for_each_other_and_are_answered_in_order() -> anyhow::Result<()> {
    let (producer, mut peer) = connect(ProducerOptions::default()).await?;
    let topic = topic();
    let node = async {
        for _ in 0..2 {
            peer.command().await?;
        }
        peer.respond(HEARTBEAT).await?;
        assert_eq!(peer.command().await?, Command::Nop);
        peer.respond(OK).await?;
        peer.refuse("E_PUB_FAILED PUB failed disk full").await
    };
    let (first, second, node) =
        tokio::join!(producer.publish(&topic, bodies(["a"])), producer.publish(&topic, bodies(["b"])), node);
    node?;
    assert_eq!(first, PublishOutcome::Acknowledged);
    let (code, text) = ("E_PUB_FAILED".to_owned(), "PUB failed disk full".to_owned());
    assert_eq!(second, PublishOutcome::Refused { code, text });
    Ok(())
}

#[tokio::test]
async fn a_publish_whose_answer_never_came_may_or_may_not_be_stored() -> anyhow::Result<()> {
    let (producer, mut peer) = connect(ProducerOptions::default()).await?;
    let topic = topic();
    let lost = async {
        let command = peer.command().await;
        drop(peer);
        command
    };
    let (outcome, command) = tokio::join!(producer.publish(&topic, bodies(["a"])), lost);
    command?;
    assert_eq!(outcome, PublishOutcome::Unknown(UnknownReason::ConnectionLost));

    let end = producer.ended().await;
    assert!(matches!(end.as_deref(), Some(ConnectionError::Closed { .. })), "{end:?}");
    let later = producer.publish(&topic, bodies(["b"])).await;
    assert_eq!(later, PublishOutcome::NotSent(NotSent::NotConnected));
    Ok(())
}

#[tokio::test]
async fn a_publish_that_takes_too_long_is_unknown_once_written_and_not_sent_before() -> anyhow::Result<()> {
    let options = ProducerOptions {
        publish_timeout: Duration::from_millis(100),
        max_in_flight: 1,
        ..ProducerOptions::default()
    };
    let (producer, mut peer) = connect(options).await?;
    let topic = topic();
    let (first, second, command) = tokio::join!(
        producer.publish(&topic, bodies(["a"])),
        producer.publish(&topic, bodies(["b"])),
        peer.command(),
    );
    command?;
    assert_eq!(first, PublishOutcome::Unknown(UnknownReason::TimedOut));
    assert_eq!(second, PublishOutcome::NotSent(NotSent::TimedOut));

    // The late answer belongs to the first, not to whatever is published next.
    let node = async {
        peer.respond(OK).await?;
        let third = peer.command().await?;
        assert_eq!(third, Command::Pub { topic: topic.clone(), body: Bytes::from("c") });
        peer.respond(OK).await
    };
    let (third, node) = tokio::join!(producer.publish(&topic, bodies(["c"])), node);
    node?;
    assert_eq!(third, PublishOutcome::Acknowledged);
    Ok(())
}

#[tokio::test]
async fn what_exceeds_a_body_goes_out_as_several() -> anyhow::Result<()> {
    let options = ProducerOptions { max_body_bytes: 4 + 2 * (4 + 3), ..ProducerOptions::default() };
    let (producer, mut peer) = connect(options).await?;
    let topic = topic();
    let node = async {
        let first = peer.command().await?;
        assert_eq!(
            first,
            Command::Mpub { topic: topic.clone(), bodies: ["aaa", "bbb"].into_iter().collect() }
        );
        let second = peer.command().await?;
        assert_eq!(second, Command::Pub { topic: topic.clone(), body: Bytes::from("ccc") });
        peer.respond(OK).await?;
        peer.refuse("E_PUB_FAILED PUB failed disk full").await
    };
    let (outcome, node) = tokio::join!(producer.publish(&topic, bodies(["aaa", "bbb", "ccc"])), node);
    node?;
    assert_eq!(outcome, PublishOutcome::Unknown(UnknownReason::Partly));
    Ok(())
}

#[tokio::test]
async fn a_message_no_node_takes_does_not_cost_the_connection() -> anyhow::Result<()> {
    let options = ProducerOptions { max_message_bytes: 3, ..ProducerOptions::default() };
    let (producer, _peer) = connect(options).await?;
    let empty = producer.publish(&topic(), bodies(["a", ""])).await;
    assert_eq!(empty, PublishOutcome::NotSent(NotSent::EmptyMessage));
    let big = producer.publish(&topic(), bodies(["aaaa"])).await;
    assert_eq!(big, PublishOutcome::NotSent(NotSent::MessageTooBig { bytes: 4 }));
    assert_eq!(producer.publish(&topic(), vec![]).await, PublishOutcome::Acknowledged);
    assert!(producer.is_connected());
    Ok(())
}

#[tokio::test]
async fn a_silent_node_is_given_up() -> anyhow::Result<()> {
    let connection =
        ConnectionOptions { heartbeat_interval: Duration::from_millis(50), ..ConnectionOptions::default() };
    let (producer, _peer) = connect(ProducerOptions { connection, ..ProducerOptions::default() }).await?;
    let end = producer.ended().await;
    assert!(matches!(end.as_deref(), Some(ConnectionError::TimedOut { .. })), "{end:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_a_node_is_told_apart() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let address = node.address();
    let http = async {
        node.accept_raw().await?.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        anyhow::Ok(())
    };
    let (outcome, http) = tokio::join!(Producer::connect(&address, ProducerOptions::default()), http);
    http?;
    let error = outcome.expect_err("HTTP is not NSQ");
    let reset = matches!(error, ConnectionError::Broken { .. });
    let told = matches!(error, ConnectionError::Protocol { reason: ProtocolViolation::Http, .. });
    assert!(told || reset, "{error:?}");

    drop(node);
    let error = Producer::connect(&address, ProducerOptions::default()).await.expect_err("nobody is there");
    assert!(matches!(error, ConnectionError::Dial { .. }), "{error:?}");
    Ok(())
}
