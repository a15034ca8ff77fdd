//! What a person does at the box.

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
    /// Sees hits and answers them.
    Officer,
    /// Aims cameras and draws lanes.
    Installer,
    /// Sees how the box is, looks passages up, takes reports out.
    Operator,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; there are officer, installer and operator")]
pub struct RoleError(String);

impl Role {
    pub const ALL: [Self; 3] = [Self::Officer, Self::Installer, Self::Operator];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Officer => "officer",
            Self::Installer => "installer",
            Self::Operator => "operator",
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
