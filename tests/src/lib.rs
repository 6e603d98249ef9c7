//! The harness of the whole-system tests: the built binary as real processes on a real Postgres, faults, a witness
//! that the jobs themselves write to, and a recorder whose history `punctual-verify` judges.
//!
//! A test starts a [`cluster::Cluster`], talks to it through [`client::Client`], and ends with
//! [`cluster::Cluster::stop`]; one that ends otherwise leaves its logs, data and history behind and says where.

pub mod client_suite;
pub mod cluster;
pub mod queue_node;
pub mod topology;

pub mod client;
pub mod definition;
pub mod export;
pub mod lossy_disk;
pub mod nemesis;
pub mod queue_load;
pub mod raw_client;
pub mod recorder;
pub mod witness;

pub mod database;
pub mod debian;
pub mod effort;
pub mod fake_time;
pub mod http;
pub mod namespace;
pub mod pooler;
pub mod port;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod wait;
