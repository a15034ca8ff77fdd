//! Who may be told of a hit, and how much of it. Pure.
//!
//! A recipient sees the hits of its own prefecture. Of those of another prefecture it sees what an
//! agreement grants, and nothing by default. What several agreements grant adds up. Its own choice
//! (levels, states, areas, categories) narrows that and never widens it.

use kakou_contract::{HitState, Id, Level};

use super::config::{AgreementConfig, Recipient, Recipients};

/// What of a hit decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct HitFacts<'a> {
    pub(super) site: &'a str,
    /// Of the site; `None`: the centre's own.
    pub(super) prefecture: Option<&'a str>,
    pub(super) level: Level,
    pub(super) state: HitState,
    pub(super) category: &'a str,
}

/// What is told beside the hit itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) pictures: bool,
    pub(super) reason: bool,
    pub(super) authority: bool,
}

impl Grant {
    pub(super) const WHOLE: Self = Self {
        pictures: true,
        reason: true,
        authority: true,
    };

    fn and(self, other: Self) -> Self {
        Self {
            pictures: self.pictures || other.pictures,
            reason: self.reason || other.reason,
            authority: self.authority || other.authority,
        }
    }
}

impl Recipients {
    /// `None`: it is not told of this hit.
    pub(super) fn grant(&self, recipient: &Recipient, hit: &HitFacts<'_>) -> Option<Grant> {
        let home = self.settings.prefecture.as_ref().map(Id::as_str);
        let of_site = hit.prefecture.or(home);
        let wants = recipient.levels.contains(&hit.level)
            && recipient.states.contains(&hit.state)
            && lists(recipient.categories.as_deref(), hit.category)
            && recipient.areas.as_ref().is_none_or(|areas| {
                let is_in = |area: &Id| {
                    let area = area.as_str();
                    area == hit.site || of_site == Some(area)
                };
                areas.iter().any(is_in)
            });
        if !wants {
            return None;
        }
        let Some(own) = recipient.prefecture.as_ref() else {
            // No recipient has a prefecture then: the config knows none.
            return Some(Grant::WHOLE);
        };
        if of_site == Some(own.as_str()) {
            return Some(Grant::WHOLE);
        }
        let granted = self
            .agreements
            .iter()
            .filter(|it| of_site == Some(it.from.as_str()) && it.to == *own && covers(it, hit));
        granted
            .map(|it| Grant {
                pictures: it.pictures,
                reason: it.reason,
                authority: it.authority,
            })
            .reduce(Grant::and)
    }
}

fn covers(agreement: &AgreementConfig, hit: &HitFacts<'_>) -> bool {
    agreement.levels.contains(&hit.level)
        && lists(agreement.categories.as_deref(), hit.category)
        && agreement
            .sites
            .as_ref()
            .is_none_or(|sites| sites.iter().any(|site| site.as_str() == hit.site))
}

fn lists(list: Option<&[String]>, word: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|it| it == word))
}

#[cfg(test)]
#[path = "rights_tests.rs"]
mod tests;
