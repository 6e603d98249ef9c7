//! The worker SDK of Punctual and its ready-made runner.
//!
//! A [`Worker`] listens for the doorbells of one task queue, asks a scheduler for the attempts they announce,
//! executes them with the handler of their kind, and reports how they ended. The [`Runner`] is a worker whose
//! handler starts programs.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use punctual_worker::{Context, HandlerError, Worker};
//! use tokio_util::sync::CancellationToken;
//!
//! async fn greet(context: Context) -> Result<String, HandlerError> {
//!     let name: String = context.payload()?;
//!     Ok(format!("hello {name}"))
//! }
//!
//! let worker = Worker::builder()
//!     .server(["http://127.0.0.1:7700"])
//!     .lookup_http_addresses(["127.0.0.1:4161"])
//!     .handler("greet", greet)
//!     .build()?;
//! worker.run(CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```

mod cancellation;
mod context;
mod handler;
mod worker;

mod attempt;
mod inbox;
mod meters;
mod schedulers;
mod session;

mod runner;

pub use cancellation::CancelReason;
pub use context::Context;
pub use handler::{HandlerError, Output};
pub use runner::{Runner, RunnerError, WorkerOptions, run};
pub use worker::{BuildError, Worker, WorkerBuilder, WorkerError};
