//! What can be wrong with a worker.

use tonic::Code;

/// Why a worker could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No scheduler was named.
    #[error("a worker needs the address of a scheduler")]
    NoServer,
    /// A scheduler's address is no `http://` or `https://` URL.
    #[error("{url:?} is not the URL of a scheduler, such as http://127.0.0.1:7700")]
    Server {
        /// What was given.
        url: String,
    },
    /// TLS towards a scheduler could not be set up.
    #[error("could not set up TLS for {url}")]
    Tls {
        /// The scheduler's URL.
        url: String,
        /// Why not.
        #[source]
        source: tonic::transport::Error,
    },
    /// Neither a lookup nor a queue node was named.
    #[error("a worker needs the address of a lookup or of a queue node")]
    NoQueue,
    /// The address of a lookup or a queue node is not one.
    #[error("{address:?} is not an address such as 127.0.0.1:4161")]
    QueueAddress {
        /// What was given.
        address: String,
    },
    /// The namespace breaks the rule for names.
    #[error("{0:?} is not a namespace: 1 to 24 characters of a-z 0-9 -")]
    Namespace(String),
    /// The task queue breaks the rule for names.
    #[error("{0:?} is not a task queue: 1 to 34 characters of a-z 0-9 _ -")]
    TaskQueue(String),
    /// A kind breaks the rule for names.
    #[error("{0:?} is not a kind: 1 to 100 characters of a-z A-Z 0-9 . _ -")]
    Kind(String),
    /// Two handlers were given for one kind.
    #[error("there are two handlers for the kind {0:?}")]
    DuplicateKind(String),
    /// There is nothing it could execute.
    #[error("a worker needs a handler")]
    NoHandler,
    /// The number of places is out of range.
    #[error("{0} places: a worker has 1 to 10000")]
    Places(u32),
}

/// Why a worker stopped working.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The first scheduler that answered does not want this worker: a wrong token, say, or an unknown namespace.
    #[error("the scheduler refused this worker: {message} ({code:?})")]
    Refused {
        /// Of the answer.
        code: Code,
        /// What the scheduler said.
        message: String,
    },
    /// The queue client could not be started.
    #[error("could not listen to the queue")]
    Queue(#[source] punctual_queue_client::discovery::DiscoveryError),
    /// The queue client stopped without being asked to.
    #[error("the queue client stopped")]
    QueueClosed,
}
