//! What a person does at the centre.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A user has one or several.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees hits as they come, and how the agents are.
    Viewer,
    /// Looks plates up, with a reason that is recorded.
    Investigator,
    /// Looks after the agents: gaps, alarms, quality, commands.
    Operator,
    /// Makes users, and reads what was searched.
    Admin,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; there are viewer, investigator, operator and admin")]
pub struct RoleError(String);

impl Role {
    pub const ALL: [Self; 4] = [
        Self::Viewer,
        Self::Investigator,
        Self::Operator,
        Self::Admin,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Investigator => "investigator",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| RoleError(kakou_guard::presentable(text)))
    }
}
