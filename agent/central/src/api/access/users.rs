//! Users and their tokens, in the database. Every request reads its user anew: who is taken out, or
//! gets another role or another limit, has it at the next request.

use std::collections::BTreeSet;

use chrono::{DateTime, FixedOffset, Utc};
use kakou_entry::{PasswordError, hash_of, hashed, matches, random};
use kakou_guard::Secret;
use tokio_postgres::Row;

use super::role::Role;
use crate::store::{Store, StoreError};

/// Characters of a user's name.
pub(in crate::api) const NAME_MOST: usize = 64;
const PREFECTURES_MOST: usize = 400;
const LABEL_MOST: usize = 64;
/// Before the random digits of a token, so that people and scanners know it when they see it.
const TOKEN_MARK: &str = "kakou_";
/// The longest life of a token, in days.
const TOKEN_DAYS_MOST: u32 = 400;

#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("name: 1 to {NAME_MOST} letters, digits, `-`, `_` or `.`")]
    Name,
    #[error("roles: give one or more of viewer, investigator, operator, admin")]
    NoRole,
    #[error(
        "prefectures: {0:?} is no division code of GB/T 2260; give six digits, as 130600, or leave the limit out"
    )]
    Prefecture(String),
    #[error("prefectures: at most {PREFECTURES_MOST}, and not none; leave the limit out for all")]
    Prefectures,
    #[error("label: 1 to {LABEL_MOST} characters, none of them a control character")]
    Label,
    #[error("days: 1 to {TOKEN_DAYS_MOST}")]
    Days,
    #[error("there is no user of this name")]
    Unknown,
    #[error("password: {0}")]
    Password(#[from] PasswordError),
    #[error("no random digits: {0}")]
    Random(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for UsersError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

#[derive(Clone)]
pub struct User {
    pub name: String,
    pub roles: BTreeSet<Role>,
    /// Division codes of GB/T 2260; `None`: all.
    pub prefectures: Option<Vec<String>>,
    hash: String,
}

/// Without the hash.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?}", self.name, self.roles, self.prefectures)
    }
}

impl User {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let roles: Vec<String> = row.try_get("roles")?;
        Ok(Self {
            name: row.try_get("name")?,
            roles: roles.iter().filter_map(|role| role.parse().ok()).collect(),
            prefectures: row.try_get("prefectures")?,
            hash: row.try_get("hash")?,
        })
    }

    /// Takes tens of milliseconds; for a blocking thread.
    pub(in crate::api) fn knows(&self, password: &Secret) -> bool {
        matches(password, &self.hash)
    }

    /// Changes with the password: a session that began with another one is over.
    pub(in crate::api) fn mark(&self) -> &str {
        &self.hash
    }

    /// As `kakou.prefectures` has it.
    pub(in crate::api) fn scope(&self) -> String {
        match &self.prefectures {
            None => "*".to_owned(),
            Some(codes) => codes.join(","),
        }
    }
}

const COLUMNS: &str = "name, roles, prefectures, hash";

/// The users of one centre.
#[derive(Debug, Clone)]
pub struct Users {
    store: Store,
}

impl Users {
    pub fn of(store: Store) -> Self {
        Self { store }
    }

    pub async fn list(&self) -> Result<Vec<User>, UsersError> {
        let sql = format!("SELECT {COLUMNS} FROM users ORDER BY name");
        let rows = self.store.client().await?.query(&sql, &[]).await?;
        Ok(rows.iter().map(User::of).collect::<Result<_, _>>()?)
    }

    pub async fn find(&self, name: &str) -> Result<Option<User>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM users WHERE name = $1");
        let client = self.store.client().await?;
        let row = client.query_opt(&sql, &[&name]).await?;
        row.as_ref().map(User::of).transpose()
    }

    /// The holder of a token that is still good at `now`.
    pub(in crate::api) async fn holder(
        &self,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<User>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM users JOIN \
             (SELECT holder FROM api_tokens t WHERE t.hash = $1 AND t.expires_at > $2) t \
             ON holder = name"
        );
        let client = self.store.client().await?;
        let row = client
            .query_opt(&sql, &[&&hash_of(token)[..], &now])
            .await?;
        row.as_ref().map(User::of).transpose()
    }

    /// Adds a user, or gives an old one another password, other roles and another limit.
    pub async fn add(
        &self,
        name: &str,
        roles: BTreeSet<Role>,
        prefectures: Option<Vec<String>>,
        password: &Secret,
    ) -> Result<(), UsersError> {
        let is_right = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let length = name.chars().count();
        if !(1..=NAME_MOST).contains(&length) || !name.chars().all(is_right) {
            return Err(UsersError::Name);
        }
        if roles.is_empty() {
            return Err(UsersError::NoRole);
        }
        if let Some(codes) = &prefectures {
            if codes.is_empty() || codes.len() > PREFECTURES_MOST {
                return Err(UsersError::Prefectures);
            }
            let is_code = |code: &str| {
                code.len() == 6
                    && code.bytes().all(|b| b.is_ascii_digit())
                    && !code.starts_with('0')
            };
            if let Some(wrong) = codes.iter().find(|code| !is_code(code)) {
                return Err(UsersError::Prefecture(kakou_guard::presentable(wrong)));
            }
        }
        let (secret, failed) = (password.clone(), |e: tokio::task::JoinError| {
            PasswordError::Hash(e.to_string())
        });
        let hash = tokio::task::spawn_blocking(move || hashed(&secret))
            .await
            .map_err(failed)??;
        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let sql = "INSERT INTO users (name, roles, prefectures, hash) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (name) DO UPDATE SET roles = excluded.roles,
                   prefectures = excluded.prefectures, hash = excluded.hash, changed_at = now()";
        let client = self.store.client().await?;
        client
            .execute(sql, &[&name, &roles, &prefectures, &hash])
            .await?;
        Ok(())
    }

    /// Takes a user out, with all tokens.
    pub async fn remove(&self, name: &str) -> Result<(), UsersError> {
        let client = self.store.client().await?;
        let gone = client
            .execute("DELETE FROM users WHERE name = $1", &[&name])
            .await?;
        (gone > 0).then_some(()).ok_or(UsersError::Unknown)
    }

    /// A token that stands for the user in programs. It is shown once, here.
    pub async fn token(
        &self,
        name: &str,
        label: &str,
        days: u32,
        now: DateTime<FixedOffset>,
    ) -> Result<(Secret, DateTime<Utc>), UsersError> {
        if !(1..=TOKEN_DAYS_MOST).contains(&days) {
            return Err(UsersError::Days);
        }
        let length = label.chars().count();
        if !(1..=LABEL_MOST).contains(&length) || label.chars().any(char::is_control) {
            return Err(UsersError::Label);
        }
        let digits = random().map_err(|e| UsersError::Random(e.to_string()))?;
        let token = format!("{TOKEN_MARK}{digits}");
        let until = now.to_utc() + chrono::Days::new(days.into());
        let client = self.store.client().await?;
        let sql = "INSERT INTO api_tokens (hash, holder, label, expires_at)
                   SELECT $1, name, $3, $4 FROM users WHERE name = $2";
        let made = client
            .execute(sql, &[&&hash_of(&token)[..], &name, &label, &until])
            .await?;
        match made {
            0 => Err(UsersError::Unknown),
            _ => Ok((Secret::new(token), until)),
        }
    }
}
