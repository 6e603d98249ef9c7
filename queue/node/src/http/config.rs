//! `/config/NAME`: what the node is set to, under nsqd's names, and what can be changed while it runs.

mod values;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use punctual_queue_wire::http::HttpError;
use punctual_service::log;
use tracing::level_filters::LevelFilter;

use super::Served;
use super::answer::Answer;

/// The lookups to register with.
const LOOKUPS: &str = "nsqlookupd_tcp_addresses";

/// What the process logs.
const LOG_LEVEL: &str = "log_level";

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
        match option {
            LOOKUPS => self.change_lookups(&body),
            LOG_LEVEL => change_log_level(&body),
            _ => Err(INVALID_OPTION),
        }
    }

    fn change_lookups(&self, body: &[u8]) -> Result<(), HttpError> {
        // Go takes `null` for an empty list.
        let addresses: Option<Vec<String>> = serde_json::from_slice(body).map_err(|_| INVALID_VALUE)?;
        let addresses = addresses.unwrap_or_default();
        if !addresses.iter().all(|address| is_dialable(address)) {
            return Err(INVALID_VALUE);
        }
        tracing::info!(lookups = ?addresses, "the lookups were changed over HTTP");
        self.shared.context.set_lookups(addresses);
        Ok(())
    }
}

fn change_log_level(body: &[u8]) -> Result<(), HttpError> {
    let level = match body.to_ascii_lowercase().as_slice() {
        b"debug" => LevelFilter::DEBUG,
        b"info" => LevelFilter::INFO,
        b"warn" => LevelFilter::WARN,
        b"error" => LevelFilter::ERROR,
        // What ends a process is told by the process that ends.
        b"fatal" => LevelFilter::OFF,
        _ => return Err(INVALID_VALUE),
    };
    // Refused where the node is a part of a program with a log of its own.
    log::set_level(level).then_some(()).ok_or(HttpError::INTERNAL_ERROR)?;
    tracing::info!(%level, "the log level was changed over HTTP");
    Ok(())
}

/// An address without a port would be dialled in vain for ever.
fn is_dialable(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
