//! Its calendars and namespaces.

use punctual_proto::v1::calendar_service_server::CalendarService;
use punctual_proto::v1::namespace_service_server::NamespaceService;
use punctual_proto::v1::{self, Calendar, Namespace};
use tonic::{Request, Response, Status};

use super::Service;

fn no_calendar(name: &str) -> Status {
    Status::not_found(format!("not every calendar of {name} exists in namespace default: import it first"))
}

#[tonic::async_trait]
impl CalendarService for Service {
    async fn put_calendar(
        &self,
        request: Request<v1::PutCalendarRequest>,
    ) -> Result<Response<Calendar>, Status> {
        let mut state = self.call("put_calendar", "", &request)?;
        let v1::PutCalendarRequest { namespace, name, ical, days } = request.into_inner();
        // The text itself as an event, so that it is seen to have arrived.
        let events = (!ical.is_empty()).then(|| v1::CalendarEvent { rule: ical, ..Default::default() });
        let calendar =
            Calendar { namespace, name, days, events: Vec::from_iter(events), ..Default::default() };
        state.calendars.insert(calendar.name.clone(), calendar.clone());
        Ok(Response::new(calendar))
    }

    async fn get_calendar(
        &self,
        request: Request<v1::GetCalendarRequest>,
    ) -> Result<Response<Calendar>, Status> {
        let state = self.call("get_calendar", "", &request)?;
        let name = &request.get_ref().name;
        state.calendars.get(name).cloned().map(Response::new).ok_or_else(|| no_calendar(name))
    }

    async fn list_calendars(
        &self,
        request: Request<v1::ListCalendarsRequest>,
    ) -> Result<Response<v1::ListCalendarsResponse>, Status> {
        let state = self.call("list_calendars", "", &request)?;
        let calendars = state.calendars.values().cloned().collect();
        Ok(Response::new(v1::ListCalendarsResponse { calendars }))
    }

    async fn delete_calendar(
        &self,
        request: Request<v1::DeleteCalendarRequest>,
    ) -> Result<Response<v1::DeleteCalendarResponse>, Status> {
        let mut state = self.call("delete_calendar", "", &request)?;
        let name = &request.get_ref().name;
        state.calendars.remove(name).ok_or_else(|| no_calendar(name))?;
        Ok(Response::new(v1::DeleteCalendarResponse {}))
    }
}

#[tonic::async_trait]
impl NamespaceService for Service {
    async fn create_namespace(
        &self,
        request: Request<v1::CreateNamespaceRequest>,
    ) -> Result<Response<Namespace>, Status> {
        let mut state = self.call("create_namespace", "", &request)?;
        let namespace = request.into_inner().namespace.unwrap();
        state.namespaces.insert(namespace.name.clone(), namespace.clone());
        Ok(Response::new(namespace))
    }

    async fn list_namespaces(
        &self,
        request: Request<v1::ListNamespacesRequest>,
    ) -> Result<Response<v1::ListNamespacesResponse>, Status> {
        let state = self.call("list_namespaces", "", &request)?;
        let namespaces = state.namespaces.values().cloned().collect();
        Ok(Response::new(v1::ListNamespacesResponse { namespaces }))
    }

    async fn delete_namespace(
        &self,
        request: Request<v1::DeleteNamespaceRequest>,
    ) -> Result<Response<v1::DeleteNamespaceResponse>, Status> {
        let mut state = self.call("delete_namespace", "", &request)?;
        let name = &request.get_ref().name;
        let missing = || Status::not_found(format!("namespace {name} does not exist"));
        state.namespaces.remove(name).ok_or_else(missing)?;
        Ok(Response::new(v1::DeleteNamespaceResponse {}))
    }
}
