//! The whole system through its front door: real processes, real Postgres, faults.

mod bad_input;
mod campaign;
mod cli;
mod dependencies;
mod dev;
mod disk_faults;
mod edits;
mod faults;
mod front_doors;
mod hostile;
mod node_loss;
mod other_clients;
mod postgres_faults;
mod power_cuts;
mod queue_durability;
mod security;
mod sql;
mod tokio_nsq_client;
mod worker_loss;
mod wrong_clocks;
