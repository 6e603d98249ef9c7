//! Asking lookups.

use punctual_queue_client::discovery::{DiscoveryError, LookupClient};

use crate::{lookup::Lookup, servers::RealLookup};

#[tokio::test]
async fn a_topic_that_is_unknown_is_an_answer() -> anyhow::Result<()> {
    let lookup = RealLookup::start().await?;
    let listing = LookupClient::new([lookup.http.to_string()])?.producers(&"orders".parse()?).await;
    assert!(listing.is_complete() && listing.nodes.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_one_lookup_says_counts_although_another_is_away_or_talks_nonsense() -> anyhow::Result<()> {
    let away = RealLookup::start().await?;
    let away_address = away.http.to_string();
    away.stop().await?;
    let good = Lookup::listing(&[4150]).await?;
    let nonsense = Lookup::answering("<html>").await?;
    // A lookup that would fill the memory of whoever asks.
    let endless = Lookup::answering(&" ".repeat(17 * 1024 * 1024)).await?;
    let all = [&away_address, &good.address, &nonsense.address, &endless.address];
    let listing = LookupClient::new(all)?.nodes().await;

    assert!(!listing.is_complete());
    assert_eq!(listing.answered, [good.address.as_str()]);
    assert_eq!(listing.nodes.iter().map(|node| node.tcp()).collect::<Vec<_>>(), ["127.0.0.1:4150"]);
    let [first, second, third] = &listing.failed[..] else { anyhow::bail!("{:?}", listing.failed) };
    assert!(
        matches!(first, DiscoveryError::Request { address, .. } if *address == away_address),
        "{first:?}"
    );
    assert!(
        matches!(second, DiscoveryError::BadAnswer { address, .. } if *address == nonsense.address),
        "{second:?}"
    );
    assert!(matches!(third, DiscoveryError::TooBig { address } if *address == endless.address), "{third:?}");
    Ok(())
}

#[tokio::test]
async fn every_topic_that_a_lookup_knows_is_listed_once() -> anyhow::Result<()> {
    let one = Lookup::answering(r#"{"topics":["orders","b#ephemeral","no topic"]}"#).await?;
    let two = Lookup::answering(r#"{"topics":["a","orders"]}"#).await?;
    let nonsense = Lookup::answering("<html>").await?;
    let all = [&one.address, &two.address, &nonsense.address];
    let listing = LookupClient::new(all)?.topics().await;
    let topics: Vec<_> = listing.topics.iter().map(|topic| topic.as_str()).collect();
    assert_eq!(topics, ["a", "b#ephemeral", "orders"]);
    assert!(matches!(&listing.failed[..], [DiscoveryError::BadAnswer { .. }]), "{:?}", listing.failed);
    Ok(())
}
