//! Every key of the config, each defined once: name, type, range, default, meaning in both
//! languages, and whether a change needs a restart. Nothing else in the program repeats them.
//! A new key is one definition here, its name in the list of its section, and a line in
//! [`super::resolve`] that reads it.

pub(super) mod broker;
pub(super) mod camera;
pub(super) mod general;
pub(super) mod hits;
pub(super) mod lane;
pub(super) mod outbox;
pub(super) mod panel;
pub(super) mod passage;
pub(super) mod privacy;
pub(super) mod signals;
pub(super) mod vision;
pub(super) mod watching;
pub(super) mod watchlist;

use broker::BROKER;
use camera::CAMERA;
use general::{METRICS, TIMING};
use hits::HITS;
use outbox::OUTBOX;
use panel::PANEL;
use passage::{EVIDENCE, PASSAGE};
use privacy::PRIVACY;
use signals::SIGNALS;
use vision::VISION;
use watchlist::WATCHLIST;

use super::define::{Header, Section, Words};

/// The whole config.
pub(super) static TOP: Section = Section {
    path: "",
    header: Header::Top,
    doc: Words {
        en: "Which box this is.",
        zh: "本机的身份。",
    },
    settings: &[&general::SITE, &general::AGENT],
    sections: &[
        &BROKER, &OUTBOX, &WATCHLIST, &HITS, &SIGNALS, &PRIVACY, &METRICS, &PANEL, &TIMING,
        &VISION, &PASSAGE, &EVIDENCE, &CAMERA,
    ],
    mistaken: &[
        ("cameras", "write [[camera]], once for each camera"),
        (
            "lanes",
            "write [[camera.lane]] below its [[camera]], once for each lane",
        ),
        ("mqtt", "write [broker]"),
    ],
};
