//! Whose config it is, and for which command.

use super::note::Report;
use crate::config::{Config, is_example};

pub(super) fn check(report: &mut Report, config: &Config) {
    let (site, agent) = (&config.site, &config.agent);
    report.see(format!("site {site}, agent {agent}"), "");
    if is_example(site, agent) {
        report.warning(
            "site",
            &format!("`{site}` and `{agent}` are the ids of an example"),
            "write your own site and an agent that is unique in the city, before the first start: \
             the state folder will belong to them",
        );
    }
    let has_source = config.cameras.iter().any(|camera| camera.source.is_some());
    match (config.broker.is_some(), has_source) {
        (false, false) => report.warning(
            "site",
            "there is no [broker], and no [[camera]] has a `url`: `kakou replay` can use this, \
             `kakou run` cannot",
            "for a box in service begin with a copy of configs/single-lane-gate.toml",
        ),
        (true, false) => report.warning(
            "camera",
            "no [[camera]] has a `url`, so `kakou run` has nothing to look at",
            "write url = \"rtsp://HOST/PATH\" into each [[camera]]",
        ),
        (false, true) => report.warning(
            "broker",
            "there is no [broker], so `kakou run` does not start",
            "write [broker] and url = \"mqtts://HOST\" below it",
        ),
        (true, true) => {}
    }
    if config.broker.is_none() {
        report.see("broker none: nothing is published", "");
    }
}
