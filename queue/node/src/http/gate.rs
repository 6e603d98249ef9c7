//! Who is let in over HTTP: with TLS where that is demanded, and with a secret where that is.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use punctual_queue_wire::http::{HttpError, JSON, Query};
use punctual_service::http::Peer;

use super::{Served, answer};
use crate::auth::{Applicant, Authorizations, Permission};
use crate::options::TlsRequired;
use crate::tls;

const AUTH_REQUIRED: HttpError = HttpError::new(401, "AUTH_REQUIRED");
const AUTH_FAILED: HttpError = HttpError::new(403, "AUTH_FAILED");
const UNAUTHORIZED: HttpError = HttpError::new(403, "UNAUTHORIZED");

/// What a request needs.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// A secret that is good for something.
    AnySecret,
    Publish(String),
    Subscribe(String, String),
    /// To subscribe to any channel of a topic, there or not.
    SubscribeToAny(String),
    /// To let what a channel has go to another topic.
    Redirect {
        topic: String,
        channel: String,
        to: String,
    },
    /// To publish to and subscribe to everything.
    Everything,
}

impl Need {
    /// What the endpoint does decides. One that is not known here does not matter less than the others.
    fn of(method: &Method, path: &str, query: Option<&Query>) -> Self {
        let get = |name| query.and_then(|query| query.get(name)).map(str::to_owned);
        let (topic, channel) = (get("topic"), get("channel"));
        match path.trim_end_matches('/') {
            "/ping" | "/livez" | "/readyz" => Self::Nothing,
            "/stats" | "/info" | "/metrics" => Self::AnySecret,
            path if path.starts_with("/config/") && method == Method::GET => Self::AnySecret,
            // It shows what any of its channels would.
            "/topic/peek" => topic.map_or(Self::AnySecret, Self::SubscribeToAny),
            "/channel/dead_letter" => match (topic, channel, get("to")) {
                (Some(topic), Some(channel), Some(to)) => Self::Redirect { topic, channel, to },
                (Some(topic), Some(channel), None) => Self::Subscribe(topic, channel),
                _ => Self::AnySecret,
            },
            path if path == "/pub" || path == "/mpub" || path.starts_with("/topic/") => {
                topic.map_or(Self::AnySecret, Self::Publish) // without a topic it is refused anyway
            }
            path if path.starts_with("/channel/") => match (topic, channel) {
                (Some(topic), Some(channel)) => Self::Subscribe(topic, channel),
                _ => Self::AnySecret,
            },
            _ => Self::Everything,
        }
    }

    fn is_met_by(&self, granted: &Authorizations) -> bool {
        match self {
            Self::Nothing => true,
            Self::AnySecret => granted.count() > 0,
            Self::Publish(topic) => granted.allow(Permission::Publish, topic, ""),
            Self::Subscribe(topic, channel) => granted.allow(Permission::Subscribe, topic, channel),
            Self::SubscribeToAny(topic) => granted.allow_every_channel(topic),
            Self::Redirect { topic, channel, to } => {
                granted.allow(Permission::Subscribe, topic, channel)
                    && granted.allow(Permission::Publish, to, "")
            }
            Self::Everything => granted.allow_everything(),
        }
    }
}

/// Lets a request pass, or answers why not.
pub(super) async fn pass(State(served): State<Served>, request: Request, next: Next) -> Response {
    let options = &served.shared.context.options;
    let peer = request.extensions().get::<Peer>().cloned();
    let is_plain = peer.as_ref().is_some_and(|peer| !peer.tls);
    if is_plain && options.tls.required() == TlsRequired::True {
        return tls_required(served.ports.https);
    }
    if options.auth.http_auth_required {
        let query = Query::parse(request.uri().query().unwrap_or_default()).ok();
        let need = Need::of(request.method(), request.uri().path(), query.as_ref());
        if let Err(error) = served.check(&need, peer, request.headers()).await {
            return refusal(&error);
        }
    }
    next.run(request).await
}

impl Served {
    async fn check(&self, need: &Need, peer: Option<Peer>, headers: &HeaderMap) -> Result<(), HttpError> {
        if *need == Need::Nothing {
            return Ok(());
        }
        let secret = bearer(headers).ok_or(AUTH_REQUIRED)?;
        let (Some(servers), Some(peer)) = (&self.shared.context.auth, peer) else { return Err(AUTH_FAILED) };
        let applicant = Applicant {
            secret: secret.to_owned(),
            remote_ip: peer.address.map_or_else(String::new, |address| address.ip().to_string()),
            tls: peer.tls,
            common_name: peer.certificate.as_ref().map(tls::common_name).unwrap_or_default(),
        };
        let granted = self.granted.to(applicant, servers).await.ok_or(AUTH_FAILED)?;
        if need.is_met_by(&granted) { Ok(()) } else { Err(UNAUTHORIZED) }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty()).then_some(secret)
}

fn refusal(error: &HttpError) -> Response {
    let mut refused = answer::failure(error);
    if *error == AUTH_REQUIRED {
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    refused
}

/// Clients of NSQ's read the port and come again.
fn tls_required(https_port: Option<u16>) -> Response {
    let port = https_port.unwrap_or_default();
    let body = format!(r#"{{"message": "TLS_REQUIRED", "https_port": {port}}}"#);
    let mut refused = answer::failure(&HttpError::new(403, "TLS_REQUIRED"));
    *refused.body_mut() = body.into();
    refused.headers_mut().remove(header::CONTENT_LENGTH);
    (([(header::CONTENT_TYPE, JSON)]), refused).into_response()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_asked_for_needs_the_right_to_what_it_names(
            path in "(/|//)?(ping|pub|mpub|stats|topic/[a-z]{0,6}|channel/(peek|dead_letter|[a-z]{0,6})|[a-z/%.]{0,12})/{0,2}",
            query in "((topic|channel|to|x)=[a-c%/#.*0-9]{0,4}&?){0,4}",
            is_get in any::<bool>(),
        ) {
            let method = if is_get { Method::GET } else { Method::POST };
            let (query, trimmed) = (Query::parse(&query).ok(), path.trim_end_matches('/'));
            let named = |name| query.as_ref().and_then(|query| query.get(name)).map(str::to_owned);
            match Need::of(&method, &path, query.as_ref()) {
                Need::Nothing => prop_assert_eq!(trimmed, "/ping"),
                Need::AnySecret => prop_assert!(
                    named("topic").is_none()
                        || named("channel").is_none()
                        || matches!(trimmed, "/stats" | "/info" | "/metrics")
                ),
                Need::Publish(topic) => prop_assert_eq!(Some(topic), named("topic")),
                Need::Subscribe(topic, channel) => {
                    prop_assert_eq!((Some(topic), Some(channel)), (named("topic"), named("channel")));
                }
                Need::SubscribeToAny(topic) => prop_assert_eq!(Some(topic), named("topic")),
                Need::Redirect { topic, channel, to } => {
                    prop_assert_eq!((Some(topic), Some(channel)), (named("topic"), named("channel")));
                    prop_assert_eq!(Some(to), named("to"));
                }
                Need::Everything => prop_assert!(!trimmed.starts_with("/topic/") && !trimmed.starts_with("/channel/")),
            }
        }
    }

    #[test]
    fn an_endpoint_needs_the_right_to_what_it_does() {
        let (publish, subscribe) =
            (Need::Publish("t".to_owned()), Need::Subscribe("t".to_owned(), "c".to_owned()));
        let redirect =
            Need::Redirect { topic: "t".to_owned(), channel: "c".to_owned(), to: "dead".to_owned() };
        let look = Need::SubscribeToAny("t".to_owned());
        for (method, path, query, expected) in [
            (Method::GET, "/ping", "", &Need::Nothing),
            (Method::GET, "/stats", "topic=t", &Need::AnySecret),
            (Method::GET, "/metrics", "", &Need::AnySecret),
            (Method::GET, "/config/log_level", "", &Need::AnySecret),
            (Method::PUT, "/config/log_level", "", &Need::Everything),
            (Method::POST, "/pub", "topic=t", &publish),
            (Method::POST, "/mpub/", "topic=t", &publish),
            (Method::POST, "/pub", "", &Need::AnySecret),
            (Method::POST, "/topic/delete", "topic=t", &publish),
            (Method::POST, "/channel/empty", "topic=t&channel=c", &subscribe),
            (Method::POST, "/channel/empty", "topic=t", &Need::AnySecret),
            (Method::GET, "/topic/peek", "topic=t", &look),
            (Method::GET, "/channel/peek", "topic=t&channel=c", &subscribe),
            (Method::POST, "/channel/dead_letter", "topic=t&channel=c&max_attempts=5&to=dead", &redirect),
            (Method::POST, "/channel/dead_letter", "topic=t&channel=c&max_attempts=0", &subscribe),
            (Method::POST, "/topic/retain", "topic=t&for=1h", &publish),
            (Method::POST, "/drain", "", &Need::Everything),
            (Method::GET, "/debug/pprof/heap", "", &Need::Everything),
            (Method::GET, "/whatever", "", &Need::Everything),
        ] {
            let query = Query::parse(query).unwrap();
            assert_eq!(&Need::of(&method, path, Some(&query)), expected, "{method} {path}");
        }
    }
}
