//! `nsq_stat`: shows how a channel is doing, over all nodes that have it.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use futures::future::join_all;
use punctual_queue_client::address::NodeAddress;
use punctual_queue_wire::discovery::LookupAnswer;
use tokio_util::sync::CancellationToken;

use crate::error::{ToolError, UsageError};
use crate::go_duration;
use crate::http::HttpClient;

mod channel_stats;
mod report;

use channel_stats::{ChannelStats, StatsAnswer};
use report::{HEADER, row};

/// Rows between two headers.
const ROWS_PER_HEADER: u64 = 25;

/// The flags of `nsq_stat`.
#[derive(Debug, Clone, Args)]
pub struct NsqStat {
    /// The topic
    #[arg(long, default_value = "", hide_default_value = true)]
    topic: String,

    /// The channel
    #[arg(long, default_value = "", hide_default_value = true)]
    channel: String,

    /// The HTTP address of a lookup; may be repeated
    #[arg(long = "lookupd-http-address", value_name = "HOST:PORT")]
    lookupd_http_addresses: Vec<String>,

    /// The HTTP address of a node; may be repeated
    #[arg(long = "nsqd-http-address", value_name = "HOST:PORT")]
    nsqd_http_addresses: Vec<String>,

    /// The time between two rows
    #[arg(long, default_value = "2s", value_parser = go_duration::parse)]
    interval: Duration,

    /// How many rows to print before it ends; without it there is no end
    #[arg(long)]
    count: Option<u64>,

    /// How long connecting may take
    #[arg(long, default_value = "2s", value_parser = go_duration::parse)]
    http_client_connect_timeout: Duration,

    /// How long an answer may take
    #[arg(long, default_value = "5s", value_parser = go_duration::parse)]
    http_client_request_timeout: Duration,
}

/// The sum over some nodes.
#[derive(Debug, PartialEq)]
struct Reading {
    nodes: Vec<String>,
    stats: ChannelStats,
}

impl NsqStat {
    /// Prints a row to `output` every interval until `stop`, or as many as were asked for.
    ///
    /// # Errors
    /// The flags do not say what to show, no lookup or no node answers, none has the channel, or the output cannot
    /// be written.
    pub async fn run(
        self,
        output: &mut (impl Write + Send),
        stop: CancellationToken,
    ) -> Result<(), ToolError> {
        self.check()?;
        let http = HttpClient::new(self.http_client_connect_timeout, self.http_client_request_timeout)?;
        let reports = self.report(&http, output);
        stop.run_until_cancelled(reports).await.unwrap_or(Ok(()))
    }

    fn check(&self) -> Result<(), UsageError> {
        if self.topic.is_empty() || self.channel.is_empty() {
            return Err(UsageError::MissingTopicOrChannel);
        }
        let times = [
            (self.interval, "interval"),
            (self.http_client_connect_timeout, "http-client-connect-timeout"),
            (self.http_client_request_timeout, "http-client-request-timeout"),
        ];
        if let Some((_, flag)) = times.iter().find(|(time, _)| time.is_zero()) {
            return Err(UsageError::NotPositive(flag));
        }
        if self.count == Some(0) {
            return Err(UsageError::NotPositive("count"));
        }
        match (self.lookupd_http_addresses.is_empty(), self.nsqd_http_addresses.is_empty()) {
            (true, true) => Err(UsageError::NoHttpSource),
            (false, false) => Err(UsageError::TwoHttpSources),
            _ => Ok(()),
        }
    }

    async fn report(&self, http: &HttpClient, output: &mut (impl Write + Send)) -> Result<(), ToolError> {
        let mut previous = self.read(http).await?;
        let mut ticks = tokio::time::interval(self.interval);
        ticks.tick().await; // the first comes at once
        let mut rows = 0;
        loop {
            if rows % ROWS_PER_HEADER == 0 {
                print(output, HEADER)?;
            }
            ticks.tick().await;
            let reading = self.read(http).await?;
            if reading.nodes == previous.nodes {
                print(output, &row(&reading.stats, &previous.stats, self.interval))?;
                rows += 1;
            } else {
                // The difference would be that between the nodes, not what happened meanwhile.
                tracing::warn!(nodes = ?reading.nodes, "the nodes that answer have changed; rates begin anew");
            }
            previous = reading;
            if self.count == Some(rows) {
                return Ok(());
            }
        }
    }

    /// Asks every node. Those that do not answer are left out, as long as any does.
    async fn read(&self, http: &HttpClient) -> Result<Reading, ToolError> {
        let addresses = self.nodes(http).await?;
        let (topic, channel) = (self.topic.as_str(), self.channel.as_str());
        let query =
            [("format", "json"), ("topic", topic), ("channel", channel), ("include_clients", "false")];
        let ask = addresses.iter().map(|address| http.get::<StatsAnswer>(address, "stats", &query));
        let answers = join_all(ask).await;
        let mut reading = Reading { nodes: Vec::new(), stats: ChannelStats::default() };
        let mut failure = None;
        for (address, answer) in addresses.into_iter().zip(answers) {
            match answer {
                Ok(answer) => {
                    if let Some(stats) = answer.and_then(|answer| answer.channel(topic, channel)) {
                        reading.nodes.push(address);
                        reading.stats += stats;
                    }
                }
                Err(error) => {
                    tracing::warn!(node.address = address, ?error, "a node gives no statistics");
                    failure = Some(error);
                }
            }
        }
        match failure {
            _ if !reading.nodes.is_empty() => Ok(reading),
            Some(error) => Err(error.into()),
            None => Err(ToolError::NoSuchChannel { topic: topic.to_owned(), channel: channel.to_owned() }),
        }
    }

    /// The HTTP addresses of the nodes, as given or as lookups have them.
    async fn nodes(&self, http: &HttpClient) -> Result<Vec<String>, ToolError> {
        let query = [("topic", self.topic.as_str())];
        let ask = self.lookupd_http_addresses.iter().map(|at| http.get::<LookupAnswer>(at, "lookup", &query));
        let (mut nodes, mut failure, mut answered) = (self.nsqd_http_addresses.clone(), None, 0);
        for answer in join_all(ask).await {
            match answer {
                Ok(answer) => {
                    let producers = answer.map(|answer| answer.producers).unwrap_or_default();
                    let addresses = producers.iter().map(NodeAddress::of);
                    nodes.extend(addresses.filter_map(|node| node.http().map(str::to_owned)));
                    answered += 1;
                }
                Err(error) => {
                    tracing::warn!(?error, "a lookup does not answer");
                    failure = Some(error);
                }
            }
        }
        if let Some(failure) = failure.filter(|_| answered == 0) {
            return Err(failure.into());
        }
        nodes.sort_unstable();
        nodes.dedup(); // several lookups know the same nodes
        Ok(nodes)
    }
}

fn print(output: &mut impl Write, text: &str) -> Result<(), ToolError> {
    writeln!(output, "{text}").and_then(|()| output.flush()).map_err(ToolError::Output)
}
