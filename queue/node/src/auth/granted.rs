//! What was granted lately: HTTP has no connection to remember it by.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::{Applicant, AuthServers, Authorizations};

/// Most applicants that are remembered. Who is forgotten is asked for again.
const MAX_REMEMBERED: usize = 1024;

/// Authorizations whose time is not over.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    by_applicant: Mutex<HashMap<Applicant, (Arc<Authorizations>, Instant)>>,
}

impl Granted {
    /// What `applicant` may do; `None` when no server says so.
    pub(crate) async fn to(
        &self,
        applicant: Applicant,
        servers: &AuthServers,
    ) -> Option<Arc<Authorizations>> {
        if let Some(remembered) = self.remembered(&applicant) {
            return Some(remembered);
        }
        let asked_at = Instant::now();
        let granted = Arc::new(servers.ask(&applicant).await?);
        let mut all = self.by_applicant.lock();
        if all.len() >= MAX_REMEMBERED {
            all.retain(|_, (granted, asked_at)| asked_at.elapsed() < granted.ttl);
        }
        if all.len() < MAX_REMEMBERED {
            all.insert(applicant, (Arc::clone(&granted), asked_at));
        }
        Some(granted)
    }

    fn remembered(&self, applicant: &Applicant) -> Option<Arc<Authorizations>> {
        let all = self.by_applicant.lock();
        let (granted, asked_at) = all.get(applicant)?;
        (asked_at.elapsed() < granted.ttl).then(|| Arc::clone(granted))
    }
}
