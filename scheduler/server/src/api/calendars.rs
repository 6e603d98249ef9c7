//! `CalendarService`.

use std::sync::Arc;

use punctual_proto::v1::{self, calendar_service_server::CalendarService};
use punctual_scheduler_domain::name::{CalendarName, Namespace};
use tonic::{Request, Response, Status};

use super::convert::{calendar_to_proto, read_calendar, read_calendar_key, read_namespace};
use super::error::ApiError;
use crate::store::{NamedCalendar, Store, StoreError};

/// Keeps calendars.
#[derive(Clone)]
pub(super) struct CalendarApi {
    pub(super) store: Arc<dyn Store>,
}

impl CalendarApi {
    async fn read(&self, namespace: &Namespace, name: &CalendarName) -> Result<NamedCalendar, ApiError> {
        let found = self.store.list_calendars(namespace, Some(name)).await?;
        let missing = || StoreError::NoSuchCalendar { namespace: namespace.clone(), names: name.to_string() };
        found.into_iter().next().ok_or_else(|| missing().into())
    }
}

#[tonic::async_trait]
impl CalendarService for CalendarApi {
    async fn put_calendar(
        &self,
        request: Request<v1::PutCalendarRequest>,
    ) -> Result<Response<v1::Calendar>, Status> {
        let request = request.into_inner();
        let (namespace, name) = read_calendar_key(&request.namespace, &request.name)?;
        // A megabyte of events takes a while, in which others want to be served.
        let spec = match tokio::task::spawn_blocking(move || read_calendar(&request)).await {
            Ok(spec) => spec?,
            Err(_stopped_or_panicked) => return Err(ApiError::Stopping.into()),
        };
        self.store.put_calendar(&namespace, &name, &spec).await.map_err(ApiError::from)?;
        Ok(Response::new(calendar_to_proto(&self.read(&namespace, &name).await?)))
    }

    async fn get_calendar(
        &self,
        request: Request<v1::GetCalendarRequest>,
    ) -> Result<Response<v1::Calendar>, Status> {
        let v1::GetCalendarRequest { namespace, name } = request.into_inner();
        let (namespace, name) = read_calendar_key(&namespace, &name)?;
        Ok(Response::new(calendar_to_proto(&self.read(&namespace, &name).await?)))
    }

    async fn list_calendars(
        &self,
        request: Request<v1::ListCalendarsRequest>,
    ) -> Result<Response<v1::ListCalendarsResponse>, Status> {
        let namespace = read_namespace(&request.get_ref().namespace)?;
        let found = self.store.list_calendars(&namespace, None).await.map_err(ApiError::from)?;
        // What they hold may be a megabyte each.
        let brief =
            |calendar| v1::Calendar { days: Vec::new(), events: Vec::new(), ..calendar_to_proto(calendar) };
        Ok(Response::new(v1::ListCalendarsResponse { calendars: found.iter().map(brief).collect() }))
    }

    async fn delete_calendar(
        &self,
        request: Request<v1::DeleteCalendarRequest>,
    ) -> Result<Response<v1::DeleteCalendarResponse>, Status> {
        let v1::DeleteCalendarRequest { namespace, name } = request.into_inner();
        let (namespace, name) = read_calendar_key(&namespace, &name)?;
        if !self.store.delete_calendar(&namespace, &name).await.map_err(ApiError::from)? {
            let missing = StoreError::NoSuchCalendar { namespace, names: name.to_string() };
            return Err(ApiError::from(missing).into());
        }
        Ok(Response::new(v1::DeleteCalendarResponse {}))
    }
}
