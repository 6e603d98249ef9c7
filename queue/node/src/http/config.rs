//! `/config/NAME`: what the node is set to, under nsqd's names, and the setting that can be changed while it runs.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use punctual_queue_wire::http::HttpError;
use serde_json::json;

use super::Served;
use super::answer::Answer;

/// The lookups to register with.
const LOOKUPS: &str = "nsqlookupd_tcp_addresses";

const INVALID_OPTION: HttpError = HttpError::new(400, "INVALID_OPTION");
const INVALID_VALUE: HttpError = HttpError::new(400, "INVALID_VALUE");
const INVALID_SIZE: HttpError = HttpError::new(413, "INVALID_VALUE");

/// Whether the path names an option, known or not.
pub(super) fn is_at(path: &str) -> bool {
    option_of(path).is_some_and(|option| !option.is_empty() && !option.contains('/'))
}

fn option_of(path: &str) -> Option<&str> {
    path.strip_prefix("/config/")
}

impl Served {
    /// Answers with the option's value, on PUT after changing it. A change lasts until the node stops.
    pub(super) async fn config(&self, request: Request) -> Result<Answer, HttpError> {
        let option = option_of(request.uri().path()).unwrap_or_default().to_owned();
        if request.method() == Method::PUT {
            self.change(&option, request.into_body()).await?;
        }
        self.value(&option).ok_or(INVALID_OPTION)
    }

    async fn change(&self, option: &str, body: Body) -> Result<(), HttpError> {
        let max_bytes = self.shared.context.limits.max_message_bytes as usize;
        let body = axum::body::to_bytes(body, max_bytes).await.map_err(|_| INVALID_SIZE)?;
        if body.is_empty() {
            return Err(INVALID_SIZE);
        }
        if option != LOOKUPS {
            return Err(INVALID_OPTION);
        }
        // Go takes `null` for an empty list.
        let addresses: Option<Vec<String>> = serde_json::from_slice(&body).map_err(|_| INVALID_VALUE)?;
        let addresses = addresses.unwrap_or_default();
        if !addresses.iter().all(|address| is_dialable(address)) {
            return Err(INVALID_VALUE);
        }
        tracing::info!(lookups = ?addresses, "the lookups were changed over HTTP");
        self.shared.context.set_lookups(addresses);
        Ok(())
    }

    fn value(&self, option: &str) -> Option<Answer> {
        let context = &self.shared.context;
        let (options, peer) = (&context.options, &self.advertised.0);
        Some(match option {
            LOOKUPS => Answer::Json(json!(*context.lookups().borrow())),
            "tcp_address" => Answer::Text(options.tcp_address.to_string()),
            "http_address" => Answer::Text(options.http_address.to_string()),
            "data_path" => Answer::Text(options.data_path.display().to_string()),
            "broadcast_address" => Answer::Text(peer.broadcast_address.clone()),
            "broadcast_tcp_port" => Answer::Json(json!(peer.tcp_port)),
            "broadcast_http_port" => Answer::Json(json!(peer.http_port)),
            "msg_timeout" => nanoseconds(options.msg_timeout),
            "max_msg_timeout" => nanoseconds(options.max_msg_timeout),
            "max_msg_size" => Answer::Json(json!(options.max_msg_size)),
            "max_body_size" => Answer::Json(json!(options.max_body_size)),
            "max_req_timeout" => nanoseconds(options.max_req_timeout),
            "max_rdy_count" => Answer::Json(json!(options.max_rdy_count)),
            "max_channel_consumers" => Answer::Json(json!(options.max_channel_consumers)),
            "max_heartbeat_interval" => nanoseconds(options.max_heartbeat_interval),
            "max_output_buffer_size" => Answer::Json(json!(options.max_output_buffer_size)),
            "max_output_buffer_timeout" => nanoseconds(options.max_output_buffer_timeout),
            _ => return None,
        })
    }
}

/// How Go writes a duration.
fn nanoseconds(duration: Duration) -> Answer {
    Answer::Json(json!(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
}

/// An address without a port would be dialled in vain for ever.
fn is_dialable(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
