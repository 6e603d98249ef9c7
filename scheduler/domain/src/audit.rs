//! What was done to a job: its events, what they put in force at any instant, how its versions differ, and whether the
//! ledger holds what they ask for.

mod diff;
mod event;
mod reconcile;
mod timeline;

pub use diff::{FieldChange, diff};
pub use event::{JobEvent, JobEventKind};
pub use reconcile::{ReconcileInput, Reconciled, reconcile};
pub use timeline::{PlannedSpan, Standing, Timeline};
