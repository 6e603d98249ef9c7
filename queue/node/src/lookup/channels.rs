//! Asking the lookups over HTTP which channels a topic has on other nodes.

use std::collections::BTreeSet;

use punctual_queue_wire::http::ACCEPT_VALUE;
use punctual_queue_wire::name::{ChannelName, TopicName};
use reqwest::header::ACCEPT;
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::node::Context;

/// Most bytes an answer may have: ten thousand channels and more.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Why a lookup did not say.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the lookup could not be asked")]
    Request(#[from] reqwest::Error),
    #[error("its answer is too long")]
    TooLong,
    #[error("its answer is not what it should be")]
    BadAnswer(#[source] serde_json::Error),
    #[error("its HTTP address is none: {0}")]
    BadAddress(String),
}

#[derive(Debug, Deserialize)]
struct ChannelsAnswer {
    channels: Vec<String>,
}

/// The channels of `topic` that outlast their consumers, as any lookup knows them. All lookups are asked at once; one
/// that does not answer is left out.
pub(crate) async fn channels_elsewhere(context: &Context, topic: &TopicName) -> BTreeSet<ChannelName> {
    let connect_timeout = context.options.auth.http_client_connect_timeout;
    let addresses = context.known_lookups.http_addresses(connect_timeout).await;
    let mut found = BTreeSet::new();
    if addresses.is_empty() {
        return found;
    }
    punctual_service::tls::install_crypto_provider(); // which the client asks for, though it speaks plain HTTP
    let client = Client::builder()
        .connect_timeout(connect_timeout)
        .timeout(context.options.auth.http_client_request_timeout)
        .no_proxy() // one that the environment names is for the world outside
        .tls_certs_only([])
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(%error, "cannot ask lookups for channels");
            return found;
        }
    };
    let mut asked = JoinSet::new();
    for address in addresses {
        let (client, topic) = (client.clone(), topic.clone());
        asked.spawn(async move { (ask(&client, &address, &topic).await, address) });
    }
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((Ok(channels), _)) => found.extend(channels),
            Ok((Err(error), address)) => {
                let error = crate::health::reason(&error);
                tracing::warn!(lookup = address, %topic, error, "a lookup did not say which channels the topic has");
            }
            Err(error) => tracing::error!(%error, "asking a lookup panicked"),
        }
    }
    found.retain(|channel| !channel.is_ephemeral());
    found
}

async fn ask(client: &Client, address: &str, topic: &TopicName) -> Result<Vec<ChannelName>, AskError> {
    let mut url = Url::parse(&format!("http://{address}/channels"))
        .map_err(|_| AskError::BadAddress(address.to_owned()))?;
    url.query_pairs_mut().append_pair("topic", topic.as_str());
    let mut answer = client.get(url).header(ACCEPT, ACCEPT_VALUE).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        body.extend_from_slice(&part);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(AskError::TooLong);
        }
    }
    let answer: ChannelsAnswer = serde_json::from_slice(&body).map_err(AskError::BadAnswer)?;
    // A name that is none here could not be consumed either.
    Ok(answer.channels.iter().filter_map(|channel| channel.parse().ok()).collect())
}
