//! A box, as its topics name it.

use std::fmt;
use std::str::FromStr;

use kakou_contract::Id;

/// `SITE/AGENT`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoxName {
    pub site: Id,
    pub agent: Id,
}

impl BoxName {
    pub fn new(site: &str, agent: &str) -> Result<Self, String> {
        let id = |what, text| Id::new(what, text).map_err(|e| e.to_string());
        Ok(Self {
            site: id("site", site)?,
            agent: id("agent", agent)?,
        })
    }
}

impl FromStr for BoxName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (site, agent) = text.split_once('/').ok_or("write SITE/AGENT")?;
        Self::new(site, agent)
    }
}

impl fmt::Display for BoxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.site, self.agent)
    }
}
