//! `[panel]`: its certificate and key, and that nobody may use it yet.

use kakou_panel::Certificate;
use kakou_panel::access::Users;

use super::credentials::{Found, look};
use super::note::Report;
use super::unit::Unit;
use crate::config::Config;

pub(super) fn check(report: &mut Report, config: &Config, unit: Option<&Unit>) {
    let Some(panel) = &config.panel else { return };
    if let Some((certificate, key)) = &panel.certificate {
        let found = [
            look(report, "panel.certificate", certificate, false, unit),
            look(report, "panel.key", key, true, unit),
        ];
        let both = Certificate {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        if found == [Found::Readable; 2]
            && let Err(e) = both.check()
        {
            let mend = "name a certificate and its key, both in PEM, or leave both out";
            report.error("panel.certificate", &e.to_string(), mend);
        }
    }
    match Users::of(&config.outbox.state).all() {
        Ok(users) if users.is_empty() => report.warning(
            "panel.listen",
            "nobody can log in at the page yet",
            "make a user: kakou panel user add NAME --role officer",
        ),
        // Whose the file is, is the state folder's matter.
        Ok(_) | Err(_) => {}
    }
    report.see(format!("page {}", panel.listen), "");
}
