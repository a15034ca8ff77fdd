//! How all of the agent is, at one moment: what status, metrics and the service manager are told.

use kakou_contract::StatusMessage;
use kakou_outbox::{Outbox, Stats};
use kakou_time::SharedClock;
use kakou_uplink::Status;

use super::camera_view::CameraViews;
use super::link::Link;
use super::models::Models;
use super::status::{Identity, StatusParts, headline, reasons};
use super::supervise::Parts;
use super::tally::Tallies;
use super::watchlist::Watchlist;

/// Hands on everything that has something to say of itself. A clone is another hand on the same.
#[derive(Clone)]
pub struct Sources {
    pub identity: Identity,
    pub clock: SharedClock,
    pub outbox: Outbox,
    pub views: CameraViews,
    pub tallies: Tallies,
    pub link: Link,
    pub parts: Parts,
    pub watchlist: Watchlist,
    pub models: Models,
}

/// One look at all of it.
pub struct Overview {
    pub status: StatusMessage,
    pub outbox: Stats,
    pub link: Status,
}

impl Sources {
    pub fn look(&self) -> Overview {
        let (outbox, link) = (self.outbox.stats(), self.link.status());
        let parts = StatusParts {
            cameras: self.views.all().iter().map(|v| v.status()).collect(),
            outbox: outbox.clone(),
            link: link.clone(),
            parts: self.parts.status(),
            watchlist: self.watchlist.status(),
            models: self.models.used(),
        };
        Overview {
            status: self.identity.online(parts, &*self.clock),
            outbox,
            link,
        }
    }
}

impl Overview {
    /// What is wrong, the worst first; empty: all is well.
    pub fn reasons(&self) -> Vec<String> {
        reasons(&self.status, &self.outbox.state, &self.link)
    }

    /// One line of what is wrong.
    pub fn headline(&self) -> String {
        headline(&self.status, &self.outbox.state, &self.link)
    }
}
