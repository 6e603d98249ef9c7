//! `nsq_to_http`: sends each message of a topic in an HTTP request.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use punctual_queue_client::consumer::{ConsumerOptions, Delivery};
use rand::Rng as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::client_settings::ClientSettings;
use crate::consuming::{ConsumingArgs, channel_name, topic_name};
use crate::destinations::Destinations;
use crate::error::{ToolError, UsageError};
use crate::host_pool::{Mode, UnknownMode};
use crate::work::work;

mod options;
mod requests;
mod target;
mod trust;

pub use requests::HeaderError;
pub use target::TargetError;

use options::RequestArgs;
use requests::{RequestError, Requests};
use target::Target;

const NAME: &str = "nsq_to_http";

/// When stopping, how much longer than a request the answer to the queue may take.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Why `nsq_to_http` cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ToHttpError {
    /// Nowhere to send to.
    #[error("--get or --post required")]
    NoTarget,
    /// A message is sent in one way.
    #[error("use --get or --post not both")]
    BothMethods,
    /// An address cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A header cannot be sent.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// There is no such mode.
    #[error(transparent)]
    Mode(#[from] UnknownMode),
    /// No part of a whole.
    #[error("--sample must be between 0.0 and 1.0")]
    Sample,
    /// TLS could not be set up.
    #[error("could not set up TLS")]
    Tls(#[source] rustls::Error),
    /// The HTTP client could not be set up.
    #[error("could not set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// The flags of `nsq_to_http`.
#[derive(Debug, Clone, Args)]
pub struct NsqToHttp {
    #[command(flatten)]
    consuming: ConsumingArgs,

    /// The topic
    #[arg(long, default_value = "", hide_default_value = true)]
    topic: String,

    /// The channel
    #[arg(long, default_value = NAME)]
    channel: String,

    #[command(flatten)]
    requests: RequestArgs,

    /// Which of several addresses gets a message: one that is well in turn (hostpool), the next (round-robin), a quick
    /// one (epsilon-greedy), or each of them (multicast)
    #[arg(long, default_value = "hostpool")]
    mode: String,

    /// How many requests may be under way at once
    #[arg(short, long = "n", default_value_t = 100)]
    n: usize,

    /// The part of the messages that is sent, from 0 to 1; the others are finished
    #[arg(long, default_value_t = 1.0)]
    sample: f64,

    /// Log how long requests took after every so many; 0 for never
    #[arg(long, value_name = "N", default_value_t = 250)]
    status_every: usize,
}

/// What every message needs.
#[derive(Debug)]
struct Sender {
    targets: Vec<Target>,
    /// Whether a message goes to all of them.
    to_all: bool,
    destinations: Destinations,
    requests: Requests,
    sample: f64,
    settings: ClientSettings,
}

impl NsqToHttp {
    /// Sends messages until `stop`, and then finishes what is under way.
    ///
    /// # Errors
    /// The flags do not say what to do.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ToolError> {
        self.consuming.check()?;
        if self.topic.is_empty() {
            return Err(UsageError::Missing("topic").into());
        }
        let (topic, channel) = (topic_name(&self.topic)?, channel_name(&self.channel)?);
        let settings = self.consuming.settings(NAME)?;
        let options = ConsumerOptions {
            close_timeout: self.requests.http_client_request_timeout + CLOSE_GRACE,
            ..self.consuming.options(&settings, topic, channel)
        };
        let sender = Arc::new(self.sender(settings)?);
        let consumer = self.consuming.start(options)?;
        work(consumer, self.n, stop, |delivery| Arc::clone(&sender).handle(delivery)).await;
        Ok(())
    }

    fn sender(&self, settings: ClientSettings) -> Result<Sender, ToHttpError> {
        let targets = targets(&self.requests)?;
        let to_all = ["", "multicast"].contains(&self.mode.as_str());
        if to_all {
            warn!("multicast is deprecated: use one nsq_to_http for each address, on channels of their own");
        }
        let mode = if to_all { Mode::default() } else { self.mode.parse()? };
        if !(0.0..=1.0).contains(&self.sample) {
            return Err(ToHttpError::Sample);
        }
        let tls = trust::tls(targets.iter().any(Target::is_encrypted)).map_err(ToHttpError::Tls)?;
        let client = requests::client(&self.requests, tls).map_err(ToHttpError::Client)?;
        let names = [self.requests.posts.as_slice(), self.requests.gets.as_slice()].concat();
        Ok(Sender {
            targets,
            to_all,
            destinations: Destinations::new(names, mode, self.status_every),
            requests: Requests::new(client, requests::headers(&self.requests)?),
            sample: self.sample,
            settings,
        })
    }
}

fn targets(args: &RequestArgs) -> Result<Vec<Target>, ToHttpError> {
    let targets: Result<Vec<_>, _> = match (&args.posts[..], &args.gets[..]) {
        ([], []) => return Err(ToHttpError::NoTarget),
        (posts, []) => posts.iter().map(|address| Target::post(address)).collect(),
        ([], gets) => gets.iter().map(|address| Target::get(address)).collect(),
        (_, _) => return Err(ToHttpError::BothMethods),
    };
    Ok(targets?)
}

impl Sender {
    async fn handle(self: Arc<Self>, delivery: Delivery) {
        if self.sample < 1.0 && rand::rng().random_range(0.0..1.0) >= self.sample {
            return delivery.finish();
        }
        let (id, attempts) = (delivery.message().id, delivery.message().attempts);
        if self.settings.gives_up(attempts) {
            error!(message.id = %id, attempts, "giving up on a message");
            return delivery.finish();
        }
        // Messages wait for their turn, and a time-out would have them sent again.
        match delivery.touch_during(self.send(&delivery.message().body)).await {
            Ok(()) => delivery.finish(),
            Err((address, error)) => {
                let cause = error.source().map(ToString::to_string);
                warn!(message.id = %id, attempts, address, %error, cause, "a message was not taken");
                delivery.fail(self.settings.requeue_delay(attempts));
            }
        }
    }

    /// Sends a message to the address whose turn it is, or to all. The error with the address it came from.
    async fn send(&self, body: &Bytes) -> Result<(), (&str, RequestError)> {
        let started = Instant::now();
        if self.to_all {
            for place in 0..self.targets.len() {
                self.send_to(place, body).await?;
            }
        } else {
            self.send_to(self.destinations.choose(), body).await?;
        }
        self.destinations.delivered(started.elapsed());
        Ok(())
    }

    async fn send_to(&self, place: usize, body: &Bytes) -> Result<(), (&str, RequestError)> {
        let started = Instant::now();
        match self.requests.send(&self.targets[place], body.clone()).await {
            Ok(()) => {
                self.destinations.succeeded(place, started.elapsed());
                Ok(())
            }
            Err(error) => {
                self.destinations.failed(place);
                Err((self.destinations.name(place), error))
            }
        }
    }
}
