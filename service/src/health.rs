//! Whether this process lives and is ready, over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};

use crate::metrics::MetricsHandle;

/// The named conditions on which a process is ready: it is when all of them hold. Cheap to clone; clones share the
/// conditions.
///
/// A condition is known from its first [`set_ready`](Self::set_ready), so a part states its conditions as unmet
/// before the first listener opens.
#[derive(Debug, Clone, Default)]
pub struct Health {
    unmet: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Health {
    /// No conditions: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// States whether `condition` holds; `reason` says why it does not and is not kept when it does.
    pub fn set_ready(&self, condition: &'static str, ready: bool, reason: impl Into<String>) {
        let mut unmet = self.lock();
        let changed = if ready {
            unmet.remove(condition).is_some()
        } else {
            unmet.insert(condition, reason.into()).is_none()
        };
        drop(unmet);
        if changed {
            tracing::debug!(condition, ready, "readiness changed");
        }
    }

    /// Whether every condition holds.
    pub fn is_ready(&self) -> bool {
        self.lock().is_empty()
    }

    /// The conditions that do not hold, with their reasons.
    pub fn unmet(&self) -> BTreeMap<&'static str, String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        // Every change is one call on the map, so a panic elsewhere cannot have left it half changed.
        self.unmet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `/readyz` answers.
#[derive(Debug, serde::Serialize)]
struct Readiness {
    ready: bool,
    not_ready: BTreeMap<&'static str, String>,
}

/// `/metrics`, `/livez` (200 as long as the process can answer) and `/readyz` (503 and the unmet conditions while
/// not ready).
pub fn router(health: Health, metrics: MetricsHandle) -> Router {
    router_showing(health, move || metrics.render())
}

/// The same with `metrics` as what `/metrics` shows, in Prometheus's text form.
pub fn router_showing(
    health: Health,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(move || async move { readyz(&health) }))
        .route("/metrics", get(move || async move { shown(metrics()) }))
}

fn readyz(health: &Health) -> impl IntoResponse + use<> {
    let not_ready = health.unmet();
    let ready = not_ready.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, not_ready }))
}

fn shown(metrics: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics)
}
