//! What servers and clients of NSQ have come to rely on beyond the letter of the protocol, as far as it falls to a
//! client. What this has tests for elsewhere: upgrades (`transport.rs`), closing and lost answers (`consumer.rs`),
//! backing off (`flow.rs`), HTTP at the wrong port (`producer.rs`), an unknown topic (`discovery.rs`), the `#` in a query
//! (`discovery.rs` of the library), batches that were kept in part (`publisher.rs`).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use punctual_queue_client::{
    connection::{Connection, ConnectionError, ConnectionOptions, ProtocolViolation},
    consumer::{Consumer, ConsumerOptions},
    producer::{Producer, ProducerOptions, PublishOutcome},
};
use punctual_queue_wire::{
    command::{Command, ConnectionState},
    frame::{HEARTBEAT, OK, encode_message},
    message::{Message, MessageId},
};
use tokio::time::timeout;

use crate::{
    consumer::{options, receive},
    lookup::Lookup,
    node::{Node, PATIENCE, Peer},
    servers::RealNode,
};

async fn producer() -> anyhow::Result<(Producer, Peer)> {
    let node = Node::start().await?;
    let address = node.address();
    let (producer, peer) =
        tokio::join!(Producer::connect(&address, ProducerOptions::default()), node.accept(None));
    Ok((producer?, peer?))
}

/// A consumer with a ready count of 10, and its node.
async fn consumer() -> anyhow::Result<(Consumer, Node, Peer)> {
    let node = Node::start().await?;
    let consumer = Consumer::start(options(&[&node]))?;
    consumer.set_ready(10);
    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(10));
    Ok((consumer, node, peer))
}

#[tokio::test]
async fn answers_to_publishes_are_counted_so_one_too_many_ends_the_connection() -> anyhow::Result<()> {
    for data in [&b"OK"[..], b"CLOSE_WAIT", b"{}"] {
        let (producer, mut peer) = producer().await?;
        peer.respond(data).await?;
        let end = timeout(PATIENCE, producer.ended()).await?;
        match end.as_deref() {
            Some(ConnectionError::Protocol { reason, .. }) => {
                assert_eq!(reason, &ProtocolViolation::UnexpectedAnswer);
            }
            other => panic!("{other:?}"),
        }
    }
    let (producer, mut peer) = producer().await?;
    peer.refuse("E_INVALID cannot PUB").await?;
    let end = timeout(PATIENCE, producer.ended()).await?;
    assert!(matches!(end.as_deref(), Some(ConnectionError::Refused { .. })), "{end:?}");
    Ok(())
}

#[tokio::test]
async fn an_answer_to_what_has_none_does_not_disturb_a_consumer() -> anyhow::Result<()> {
    let (mut consumer, _node, mut peer) = consumer().await?;
    let id = peer.deliver(1).await?;
    receive(&mut consumer).await?.finish();
    assert_eq!(peer.command().await?, Command::Fin(id));
    peer.respond(OK).await?;
    peer.respond(HEARTBEAT).await?;
    assert_eq!(peer.command().await?, Command::Nop);
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_may_come_before_the_answer_to_a_subscription() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let consumer = Consumer::start(options(&[&node]))?;
    consumer.set_ready(1);
    let mut peer = node.accept(None).await?;
    let Command::Sub { .. } = peer.command().await? else { anyhow::bail!("SUB comes next") };
    peer.standing.state = ConnectionState::Subscribed;
    peer.respond(HEARTBEAT).await?;
    peer.respond(OK).await?;
    assert_eq!(peer.command().await?, Command::Rdy(1));
    Ok(())
}

#[tokio::test]
async fn an_error_that_is_fatal_is_not_waited_out() -> anyhow::Result<()> {
    let (_consumer, node, mut peer) = consumer().await?;
    peer.refuse("E_INVALID RDY count 10 out of range 0-5").await?;
    // The old connection is still open on the node's side.
    node.accept_subscriber().await?;
    assert_eq!(peer.next().await?, None);
    Ok(())
}

#[tokio::test]
async fn an_error_about_one_message_may_be_a_bare_code() -> anyhow::Result<()> {
    let (_consumer, _node, mut peer) = consumer().await?;
    for code in ["E_FIN_FAILED", "E_REQ_FAILED", "E_TOUCH_FAILED"] {
        peer.refuse(code).await?;
    }
    peer.respond(HEARTBEAT).await?;
    assert_eq!(peer.command().await?, Command::Nop);
    Ok(())
}

#[tokio::test]
async fn a_ready_count_is_a_ceiling_and_not_said_again_for_each_message() -> anyhow::Result<()> {
    let (mut consumer, _node, mut peer) = consumer().await?;
    for number in 1..=20 {
        let id = peer.deliver(number).await?;
        receive(&mut consumer).await?.finish();
        assert_eq!(peer.command().await?, Command::Fin(id));
    }
    Ok(())
}

#[tokio::test]
async fn what_a_node_does_not_say_of_itself_is_as_with_nsqd_and_what_it_says_holds() -> anyhow::Result<()> {
    for (answer, ready) in [("{}", 2_500), (r#"{"max_rdy_count":5,"tls_v1":false}"#, 5)] {
        let node = Node::start().await?;
        let consumer = Consumer::start(options(&[&node]))?;
        consumer.set_ready(10_000);
        let mut peer = node.accept_identifying().await?;
        peer.respond(answer.as_bytes()).await?;
        peer.subscribed().await?;
        assert_eq!(peer.command().await?, Command::Rdy(ready));
    }
    Ok(())
}

#[tokio::test]
async fn a_node_that_does_not_negotiate_is_taken_as_one_that_has_nothing_to() -> anyhow::Result<()> {
    for (answer, expect) in [("OK", true), ("[]", false), ("{", false), ("yes", false)] {
        let node = Node::start().await?;
        let address = node.address();
        let scripted = async {
            let mut peer = node.accept_identifying().await?;
            peer.respond(answer.as_bytes()).await?;
            anyhow::Ok(peer)
        };
        let options = ConnectionOptions::default();
        let (opened, peer) = tokio::join!(Connection::open(&address, &options), scripted);
        drop(peer?);
        match opened {
            Ok(_) => assert!(expect, "{answer}"),
            Err(ConnectionError::Protocol { reason, .. }) => {
                assert_eq!((expect, reason), (false, ProtocolViolation::NotNegotiated), "{answer}");
            }
            Err(other) => panic!("{answer}: {other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn any_number_of_attempts_arrives_as_it_is() -> anyhow::Result<()> {
    let (mut consumer, _node, mut peer) = consumer().await?;
    for attempts in [1, 6, 32_768, 65_535] {
        let id = MessageId::from_number(u64::from(attempts));
        let mut out = BytesMut::new();
        encode_message(&Message { id, timestamp_ns: -1, attempts, body: Bytes::from("m") }, &mut out);
        peer.transport.write(&out).await?;
        let delivery = receive(&mut consumer).await?;
        assert_eq!((delivery.message().attempts, delivery.message().timestamp_ns), (attempts, -1));
    }
    Ok(())
}

#[tokio::test]
async fn a_message_may_be_put_off_for_longer_than_a_node_allows() -> anyhow::Result<()> {
    let node =
        RealNode::start_with(&[], |options| options.max_req_timeout = Duration::from_millis(50)).await?;
    let (topic, channel) = ("orders".parse()?, "mail".parse()?);
    let producer = Producer::connect(&node.address(), ProducerOptions::default()).await?;
    let outcome = producer.publish(&topic, vec![Bytes::from("m")]).await;
    assert_eq!(outcome, PublishOutcome::Acknowledged);
    let options = ConsumerOptions { nodes: vec![node.address()], ..ConsumerOptions::new(topic, channel) };
    let mut consumer = Consumer::start(options)?;
    consumer.set_max_in_flight(1);
    receive(&mut consumer).await?.requeue(Duration::from_secs(24 * 3_600));
    let again = receive(&mut consumer).await?;
    assert_eq!(again.message().attempts, 2);
    again.finish();
    consumer.close().await;
    drop(producer);
    node.stop().await
}

#[tokio::test]
async fn a_refusal_of_identify_is_passed_on_word_for_word() -> anyhow::Result<()> {
    let node = RealNode::start(&[]).await?;
    let connection =
        ConnectionOptions { heartbeat_interval: Duration::from_millis(100), ..ConnectionOptions::default() };
    let options = ProducerOptions { connection, ..ProducerOptions::default() };
    let error = Producer::connect(&node.address(), options).await.expect_err("100 ms are too few");
    let expect = "E_BAD_BODY IDENTIFY heartbeat interval (100) is invalid";
    assert_eq!(error.to_string(), format!("{} answered {expect}", node.address()));
    node.stop().await
}

#[tokio::test]
async fn an_ephemeral_channel_goes_with_its_consumer_and_can_be_had_again_at_once() -> anyhow::Result<()> {
    let node = RealNode::start(&[]).await?;
    let channels = async || -> anyhow::Result<usize> {
        let stats: serde_json::Value = serde_json::from_str(&node.get("/stats?format=json").await?)?;
        let topic =
            stats["topics"].as_array().and_then(|topics| topics.first()?["channels"].as_array().cloned());
        Ok(topic.unwrap_or_default().len())
    };
    for _ in 0..10 {
        let options = ConsumerOptions {
            nodes: vec![node.address()],
            ..ConsumerOptions::new("orders".parse()?, "tail#ephemeral".parse()?)
        };
        let consumer = Consumer::start(options)?;
        timeout(PATIENCE, consumer.connections().wait_for(|count| *count == 1)).await??;
        assert_eq!(channels().await?, 1);
        consumer.close().await;
    }
    let gone = async {
        while channels().await? > 0 {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, gone).await??;
    node.stop().await
}

#[tokio::test]
async fn a_lookup_may_wrap_its_answers_as_old_ones_do() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let listed = format!(
        r#"{{"status_code":200,"status_txt":"OK","data":{{"channels":[],"producers":[
            {{"broadcast_address":"127.0.0.1","tcp_port":{},"http_port":1}}]}}}}"#,
        node.port()
    );
    let lookup = Lookup::answering(&listed).await?;
    let consumer =
        Consumer::start(ConsumerOptions { lookups: vec![lookup.address.clone()], ..options(&[]) })?;
    consumer.set_ready(1);
    let mut peer = node.accept_subscriber().await?;
    assert_eq!(peer.command().await?, Command::Rdy(1));
    Ok(())
}
