//! Producer and consumer for any NSQ server: discovery, ready counts, reconnects.
//!
//! - [`producer::Producer`] publishes to one node and says honestly what became of it: acknowledged, refused, not sent,
//!   or unknown. [`pool::NodePool`] keeps one for each of several nodes.
//! - [`publisher::Publisher`] publishes to one node after another, elsewhere when one does not take it, and never
//!   twice unless that is allowed; or to several at once.
//! - [`consumer::Consumer`] is subscribed at every node that lookups or its options name. It spreads what may be in
//!   flight over them and backs off when messages fail.
//! - [`deduplicator::Deduplicator`] recognises the copies of what was published to several nodes.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use punctual_queue_client::{consumer::*, publisher::*};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let lookups = vec!["127.0.0.1:4161".to_owned()];
//! let publisher = Publisher::start(PublisherOptions { lookups: lookups.clone(), ..Default::default() })?;
//! let publication = publisher.publish(&"orders".parse()?, vec!["one".into(), "two".into()]).await;
//! assert!(publication.is_acknowledged(), "{publication:?}");
//!
//! let options = ConsumerOptions { lookups, ..ConsumerOptions::new("orders".parse()?, "mail".parse()?) };
//! let mut consumer = Consumer::start(options)?;
//! consumer.set_max_in_flight(10);
//! while let Some(delivery) = consumer.recv().await {
//!     match delivery.touch_during(async { Ok::<_, std::io::Error>(()) }).await {
//!         Ok(()) => delivery.finish(),
//!         Err(_) => delivery.fail(Duration::from_secs(30)),
//!     }
//! #   break;
//! }
//! consumer.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! All tasks belong to the value that started them and end when it is dropped.
//!
//! Connections are plain TCP unless [`transport::TransportOptions`] say otherwise: TLS, snappy or deflate, and a secret
//! for nodes that ask for one. They are part of the options of producers, pools, publishers and consumers alike:
//!
//! ```no_run
//! # use punctual_queue_client::{connection::*, producer::*, publisher::*, tls::*, transport::*};
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let tls = ClientTls::load(&TlsOptions { root_ca: Some("ca.pem".into()), ..TlsOptions::default() })?;
//! let transport = TransportOptions {
//!     tls: Some(tls),
//!     compression: Some(Compression::Snappy),
//!     secret: Secret::new("open sesame"),
//! };
//! let connection = ConnectionOptions { transport, ..ConnectionOptions::default() };
//! let producer = ProducerOptions { connection, ..ProducerOptions::default() };
//! let publisher = Publisher::start(PublisherOptions {
//!     lookups: vec!["https://lookup.example:4161".to_owned()],
//!     producer,
//!     ..PublisherOptions::default()
//! })?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod address;

pub mod discovery;

pub mod identity;

pub mod tls;

pub mod transport;

pub mod connection;

pub mod producer;

pub mod pool;

pub mod publisher;

pub mod consumer;

pub mod deduplicator;

mod backoff;

pub use punctual_queue_wire as wire;
