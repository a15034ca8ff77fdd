//! The outbox's own messages: what it deleted, gave up or lost, for the platform.

use std::path::Path;

use chrono::{DateTime, FixedOffset};
use kakou_contract::{AuditEvent, Envelope, Id};

use crate::error::OutboxError;

/// In whose name the outbox writes.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) site: Id,
    pub(crate) agent: Id,
}

impl Author {
    pub(crate) fn audit(
        &self,
        event: AuditEvent,
        path: &Path,
        now_ms: i64,
    ) -> Result<Envelope, OutboxError> {
        Envelope::audit(&self.site, &self.agent, time(now_ms), event).map_err(|e| {
            OutboxError::Form {
                path: path.to_path_buf(),
                why: format!("writing an audit message: {e}"),
            }
        })
    }
}

/// Milliseconds since 1970 as local time.
pub(crate) fn time(ms: i64) -> DateTime<FixedOffset> {
    DateTime::from_timestamp_millis(ms)
        .unwrap_or_default()
        .with_timezone(&chrono::Local)
        .fixed_offset()
}
