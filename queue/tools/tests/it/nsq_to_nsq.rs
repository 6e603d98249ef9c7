//! Messages at another node.

use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::consumer::{Consumer, ConsumerOptions};
use punctual_queue_tools::nsq_to_nsq::NsqToNsq;
use tokio::time::timeout;

use crate::servers::{PATIENCE, RealNode};
use crate::tool::{Tool, flags};

const CHANNEL: &str = "nsq_to_nsq";

/// The tool, from a node to another, quick to try again what failed.
fn start(node: &RealNode, destinations: &[String], words: &[&str]) -> anyhow::Result<Tool> {
    let from = node.flag();
    let to: Vec<_> = destinations.iter().map(|to| format!("-destination-nsqd-tcp-address={to}")).collect();
    let quick =
        [from.as_str(), "-consumer-opt=default_requeue_delay,1ms", "-consumer-opt=backoff_multiplier,1ms"];
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    let tool: NsqToNsq = flags(&[&quick[..], &to, words].concat())?;
    Ok(Tool::start(|stop| tool.run(stop)))
}

/// The next so many messages of a topic, sorted.
async fn consume(node: &RealNode, topic: &str, count: usize) -> anyhow::Result<Vec<String>> {
    let nodes = vec![NodeAddress::new(node.tcp.to_string())];
    let options = ConsumerOptions { nodes, ..ConsumerOptions::new(topic.parse()?, "test".parse()?) };
    let mut consumer = Consumer::start(options)?;
    consumer.set_max_in_flight(100);
    let mut bodies = Vec::new();
    while bodies.len() < count {
        let delivery = timeout(PATIENCE, consumer.recv()).await?.expect("the consumer runs");
        bodies.push(String::from_utf8(delivery.message().body.to_vec())?);
        delivery.finish();
    }
    consumer.close().await;
    bodies.sort();
    Ok(bodies)
}

#[tokio::test]
async fn each_topic_goes_to_the_one_of_its_name_or_all_to_one() -> anyhow::Result<()> {
    let (node, other) = (RealNode::start().await?, RealNode::start().await?);
    node.publish("a", &["a1", "a2"]).await?;
    node.publish("b", &["b1"]).await?;
    let to = [other.tcp.to_string()];
    let tool = start(&node, &to, &["-topic=a", "-topic=b"])?;
    assert_eq!(consume(&other, "a", 2).await?, ["a1", "a2"]);
    assert_eq!(consume(&other, "b", 1).await?, ["b1"]);
    node.wait_finished("a", CHANNEL, 2).await?;
    tool.stop().await?;

    node.publish("a", &["a3"]).await?;
    node.publish("b", &["b2"]).await?;
    let tool = start(&node, &to, &["-topic=a", "-topic=b", "-destination-topic=c"])?;
    assert_eq!(consume(&other, "c", 2).await?, ["a3", "b2"]);
    node.wait_finished("a", CHANNEL, 3).await?;
    node.wait_finished("b", CHANNEL, 2).await?;
    tool.stop().await
}

#[tokio::test]
async fn only_what_is_asked_for_passes_and_the_rest_is_finished() -> anyhow::Result<()> {
    let (node, other) = (RealNode::start().await?, RealNode::start().await?);
    let bodies =
        [r#"{"k":"x","a":1,"b":2}"#, r#"{"k":"y","a":3}"#, r#"{"a":4}"#, "no JSON", r#"{"b":5,"k":"x"}"#];
    node.publish("t", &bodies).await?;
    let words = ["-topic=t", "-require-json-field=k", "-require-json-value=x", "-whitelist-json-field=a"];
    let tool = start(&node, &[other.tcp.to_string()], &words)?;
    node.wait_finished("t", CHANNEL, 5).await?;
    tool.stop().await?;
    other.publish("t", &["~ the end"]).await?;
    assert_eq!(consume(&other, "t", 3).await?, [r#"{"a":1}"#, "{}", "~ the end"]);
    Ok(())
}

#[tokio::test]
async fn destinations_take_turns() -> anyhow::Result<()> {
    for mode in ["round-robin", "hostpool"] {
        let (node, one, two) = (RealNode::start().await?, RealNode::start().await?, RealNode::start().await?);
        for to in [&one, &two] {
            to.create_channel("t", "test").await?;
        }
        // Both are connected before anything is to be passed on.
        let tool = start(&node, &[one.tcp.to_string(), two.tcp.to_string()], &["-topic=t", "-mode", mode])?;
        node.publish("t", &["m"; 20]).await?;
        node.wait_finished("t", CHANNEL, 20).await?;
        let counts = [&one, &two].map(|to| consume(to, "t", 1));
        for bodies in futures::future::join_all(counts).await {
            assert_eq!(bodies?, ["m"], "{mode}");
        }
        tool.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_destination_that_is_away_gets_its_messages_once_it_is_there() -> anyhow::Result<()> {
    let (node, other) = (RealNode::start().await?, RealNode::start().await?);
    let tcp = other.tcp;
    drop(other);
    node.create_channel("t", CHANNEL).await?;
    node.publish("t", &["1", "2", "3"]).await?;
    let tool = start(&node, &[tcp.to_string()], &["-topic=t"])?;
    assert_eq!(node.finished("t", CHANNEL).await?, 0);
    let other = RealNode::start_again_at(tcp).await?;
    assert_eq!(consume(&other, "t", 3).await?, ["1", "2", "3"]);
    node.wait_finished("t", CHANNEL, 3).await?;

    // It goes away again while messages come.
    drop(other);
    node.publish("t", &["4", "5"]).await?;
    let other = RealNode::start_again_at(tcp).await?;
    node.wait_finished("t", CHANNEL, 5).await?;
    assert_eq!(consume(&other, "t", 2).await?, ["4", "5"]);
    tool.stop().await
}

#[tokio::test]
async fn flags_that_say_too_little_are_refused() -> anyhow::Result<()> {
    for (words, expect) in [
        (&["-topic=t"][..], "--nsqd-tcp-address or --lookupd-http-address required"),
        (&["-nsqd-tcp-address=n:1"], "--topic required"),
        (&["-nsqd-tcp-address=n:1", "-topic=t"], "--destination-nsqd-tcp-address required"),
        (
            &[
                "-nsqd-tcp-address=n:1",
                "-topic=t",
                "-destination-nsqd-tcp-address=d:1",
                "-destination-topic=b@d",
            ],
            "\"b@d\" is no topic's name",
        ),
    ] {
        let tool: NsqToNsq = flags(words)?;
        let error = Tool::start(|stop| tool.run(stop)).ended().await?.unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    assert!(flags::<NsqToNsq>(&["-mode=multicast"]).is_err());
    Ok(())
}
