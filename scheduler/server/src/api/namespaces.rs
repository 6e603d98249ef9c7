//! `NamespaceService`.

use std::sync::Arc;

use punctual_proto::v1::{self, namespace_service_server::NamespaceService};
use punctual_scheduler_domain::name::Namespace;
use tonic::{Request, Response, Status};

use super::convert::{namespace_to_proto, read_namespace_name, read_new_namespace};
use super::error::ApiError;
use crate::store::{Store, StoreError};

/// Makes namespaces and takes them away.
#[derive(Clone)]
pub(super) struct Namespaces {
    pub(super) store: Arc<dyn Store>,
}

#[tonic::async_trait]
impl NamespaceService for Namespaces {
    async fn create_namespace(
        &self,
        request: Request<v1::CreateNamespaceRequest>,
    ) -> Result<Response<v1::Namespace>, Status> {
        let (name, retention) = read_new_namespace(request.into_inner().namespace)?;
        self.store.create_namespace(&name, retention).await.map_err(ApiError::from)?;
        let all = self.store.list_namespaces().await.map_err(ApiError::from)?;
        match all.iter().find(|record| record.name == name) {
            Some(made) => Ok(Response::new(namespace_to_proto(made))),
            // Deleted meanwhile.
            None => Err(ApiError::from(StoreError::UnknownNamespace(name)).into()),
        }
    }

    async fn list_namespaces(
        &self,
        _request: Request<v1::ListNamespacesRequest>,
    ) -> Result<Response<v1::ListNamespacesResponse>, Status> {
        let all = self.store.list_namespaces().await.map_err(ApiError::from)?;
        Ok(Response::new(v1::ListNamespacesResponse {
            namespaces: all.iter().map(namespace_to_proto).collect(),
        }))
    }

    async fn delete_namespace(
        &self,
        request: Request<v1::DeleteNamespaceRequest>,
    ) -> Result<Response<v1::DeleteNamespaceResponse>, Status> {
        let name = read_namespace_name(&request.get_ref().name)?;
        if name == Namespace::default() {
            return Err(ApiError::field("name", "`default` always exists").into());
        }
        self.store.delete_namespace(&name).await.map_err(ApiError::from)?;
        Ok(Response::new(v1::DeleteNamespaceResponse {}))
    }
}
