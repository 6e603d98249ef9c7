use punctual_proto::v1::audit_service_client::AuditServiceClient;
use punctual_proto::v1::backfill_service_client::BackfillServiceClient;
use punctual_proto::v1::job_service_client::JobServiceClient;
use punctual_proto::v1::run_service_client::RunServiceClient;
use punctual_proto::v1::task_queue_service_client::TaskQueueServiceClient;

use crate::failure::Failure;
use crate::output::{Output, OutputArgs};
use crate::server::{Link, ServerArgs, Servers};

/// The most a server may answer at once. A page of jobs with large payloads passes gRPC's default of 4 MiB.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// What every client command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    output: OutputArgs,

    /// Namespace of the jobs and runs; `default` when not given
    #[arg(
        short,
        long,
        env = "PUNCTUAL_NAMESPACE",
        global = true,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    namespace: String,
}

/// What every client command works with.
#[derive(Debug)]
pub(crate) struct Client {
    /// The schedulers.
    pub(crate) servers: Servers,
    /// Where answers go.
    pub(crate) output: Output,
    /// Empty for the default one.
    pub(crate) namespace: String,
}

impl ClientArgs {
    /// Connects nothing yet; that happens with the first call.
    ///
    /// # Errors
    /// When a token or a certificate cannot be read.
    pub(crate) fn open(self) -> Result<Client, Failure> {
        Ok(Client { servers: self.server.open()?, output: self.output.open(), namespace: self.namespace })
    }
}

impl Client {
    /// A client of the scheduler at `server`, with every flag at its default.
    ///
    /// # Errors
    /// When that is no address.
    pub(crate) fn local(server: &str) -> Result<Self, Failure> {
        let output = Output::people();
        Ok(Self { servers: Servers::local(server)?, output, namespace: String::new() })
    }
}

/// The backfills at one server.
pub(crate) fn backfills(link: Link) -> BackfillServiceClient<Link> {
    BackfillServiceClient::new(link).max_decoding_message_size(MAX_ANSWER_BYTES)
}

/// What was done to jobs, at one server.
pub(crate) fn audit(link: Link) -> AuditServiceClient<Link> {
    AuditServiceClient::new(link).max_decoding_message_size(MAX_ANSWER_BYTES)
}

/// The jobs at one server.
pub(crate) fn jobs(link: Link) -> JobServiceClient<Link> {
    JobServiceClient::new(link).max_decoding_message_size(MAX_ANSWER_BYTES)
}

/// The runs at one server.
pub(crate) fn runs(link: Link) -> RunServiceClient<Link> {
    RunServiceClient::new(link).max_decoding_message_size(MAX_ANSWER_BYTES)
}

/// The task queues at one server.
pub(crate) fn task_queues(link: Link) -> TaskQueueServiceClient<Link> {
    TaskQueueServiceClient::new(link).max_decoding_message_size(MAX_ANSWER_BYTES)
}

/// Names one call, so that it can be sent again and still be made once.
pub(crate) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
