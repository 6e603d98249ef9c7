//! `punctual namespace`: they keep tenants apart.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use punctual_proto::json::{from_value, to_value};
use punctual_proto::v1::namespace_service_client::NamespaceServiceClient;
use punctual_proto::v1::{CreateNamespaceRequest, DeleteNamespaceRequest, ListNamespacesRequest, Namespace};
use serde_json::{Value, json};

use crate::client::{Client, ClientArgs};
use crate::failure::Failure;
use crate::output::{instant, table};
use crate::server::Link;

const EXAMPLES: &str = "\
Examples:
  punctual namespace create tenant-7 --keep-success short --keep-failure long
  punctual job apply -f jobs.yaml --namespace tenant-7
  punctual namespace delete tenant-7       once it has no jobs, runs and calendars any more";

/// `punctual namespace`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct NamespaceArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: NamespaceCommand,
}

#[derive(Debug, Subcommand)]
enum NamespaceCommand {
    /// Make a namespace
    Create(CreateArgs),
    /// List namespaces by name
    List,
    /// Delete an empty namespace
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Name: 1 to 24 characters of a-z 0-9 -
    name: String,

    /// Retention class of runs that succeed, where their job does not say
    #[arg(long, value_name = "CLASS", value_parser = ["short", "default", "long"])]
    keep_success: Option<String>,

    /// Retention class of all other runs, where their job does not say
    #[arg(long, value_name = "CLASS", value_parser = ["short", "default", "long"])]
    keep_failure: Option<String>,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    /// Name
    name: String,
}

impl NamespaceArgs {
    /// Does what the command line says.
    ///
    /// # Errors
    /// When no server answers, one refuses, or the output is not taken.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.client.open()?;
        match self.command {
            NamespaceCommand::Create(args) => create(&client, args).await,
            NamespaceCommand::List => list(&client).await,
            NamespaceCommand::Delete(args) => delete(&client, args).await,
        }
    }
}

fn namespaces(link: Link) -> NamespaceServiceClient<Link> {
    NamespaceServiceClient::new(link)
}

async fn create(client: &Client, args: CreateArgs) -> Result<(), Failure> {
    let retention = json!({ "success": args.keep_success, "failure": args.keep_failure });
    let namespace: Namespace = from_value(json!({ "name": args.name, "retention": retention }))
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let request = CreateNamespaceRequest { namespace: Some(namespace) };
    let made =
        client.servers.call(async |link| namespaces(link).create_namespace(request.clone()).await).await?;
    Ok(client.output.print(&[to_value(&made)], |_| format!("created {}\n", made.name))?)
}

async fn list(client: &Client) -> Result<(), Failure> {
    let answer = client
        .servers
        .call(async |link| namespaces(link).list_namespaces(ListNamespacesRequest {}).await)
        .await?;
    let objects: Vec<Value> = answer.namespaces.iter().map(to_value).collect();
    let class =
        |object: &Value, outcome: &str| object["retention"][outcome].as_str().unwrap_or("default").to_owned();
    Ok(client.output.print(&objects, |style| {
        let rows = answer.namespaces.iter().zip(&objects).map(|(namespace, object)| {
            vec![
                Cell::new(&namespace.name),
                Cell::new(class(object, "success")),
                Cell::new(class(object, "failure")),
                Cell::new(instant(namespace.created_at.as_ref())),
            ]
        });
        table(style, &["NAME", "KEEP SUCCESS", "KEEP FAILURE", "CREATED"], rows)
    })?)
}

async fn delete(client: &Client, args: DeleteArgs) -> Result<(), Failure> {
    let request = DeleteNamespaceRequest { name: args.name.clone() };
    client.servers.call(async |link| namespaces(link).delete_namespace(request.clone()).await).await?;
    let deleted = json!({ "name": args.name, "state": "deleted" });
    Ok(client.output.print(&[deleted], |_| format!("deleted {}\n", args.name))?)
}
