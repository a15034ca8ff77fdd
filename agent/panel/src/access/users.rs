//! Users, in a file of the state folder that the agent and `kakou panel user` share. The agent reads
//! it again when it changes: who is taken out is out at the next request.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kakou_entry::{PasswordError, hashed, matches};
use kakou_guard::Secret;
use kakou_guard::file::{read_bounded, replace_durably};
use serde::{Deserialize, Serialize};

use super::role::Role;

const FILE: &str = "panel-users.json";
const LARGEST: u64 = 1 << 20;
const USERS_MOST: usize = 1000;
/// Characters of a user's name.
pub(crate) const NAME_MOST: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("{file}: {why}")]
    File { file: String, why: String },
    #[error("a user's name has 1 to {NAME_MOST} letters, digits, `-`, `_` or `.`")]
    Name,
    #[error("a user needs a role: officer, installer or operator")]
    NoRole,
    #[error("there is no user of this name; `kakou panel user list` shows them")]
    Unknown,
    #[error("there are {USERS_MOST} users already; take some out first")]
    Full,
    #[error(transparent)]
    Password(#[from] PasswordError),
}

#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    pub roles: BTreeSet<Role>,
    /// Of the password, as a PHC string.
    hash: String,
}

impl User {
    /// Takes tens of milliseconds; for a blocking thread.
    pub fn knows(&self, password: &Secret) -> bool {
        matches(password, &self.hash)
    }

    /// Changes with the password: a session that began with another one is over.
    pub(crate) fn mark(&self) -> &str {
        &self.hash
    }
}

/// Without the hash.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.name, self.roles)
    }
}

type ByName = BTreeMap<String, User>;

/// What a file that was not changed has the same of.
type Mark = (u64, u64, i64, i64);

fn mark(metadata: &Metadata) -> Mark {
    (
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    )
}

/// The users of one state folder.
pub struct Users {
    file: PathBuf,
    read: Mutex<Option<(Mark, Arc<ByName>)>>,
}

impl Users {
    pub fn of(state: &Path) -> Self {
        Self {
            file: state.join(FILE),
            read: Mutex::default(),
        }
    }

    pub fn all(&self) -> Result<Vec<User>, UsersError> {
        Ok(self.current()?.values().cloned().collect())
    }

    pub fn find(&self, name: &str) -> Result<Option<User>, UsersError> {
        Ok(self.current()?.get(name).cloned())
    }

    /// Adds a user, or gives an old one another password and other roles.
    pub fn put(
        &self,
        name: &str,
        roles: BTreeSet<Role>,
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
        let mut users = (*self.current()?).clone();
        if users.len() >= USERS_MOST && !users.contains_key(name) {
            return Err(UsersError::Full);
        }
        let user = User {
            name: name.to_owned(),
            roles,
            hash: hashed(password)?,
        };
        users.insert(name.to_owned(), user);
        self.write(&users)
    }

    pub fn remove(&self, name: &str) -> Result<(), UsersError> {
        let mut users = (*self.current()?).clone();
        users.remove(name).ok_or(UsersError::Unknown)?;
        self.write(&users)
    }

    fn current(&self) -> Result<Arc<ByName>, UsersError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match std::fs::symlink_metadata(&self.file) {
            Ok(metadata) => mark(&metadata),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Arc::default()),
            Err(e) => return Err(self.fault(&e)),
        };
        if let Some((was, users)) = &*read
            && *was == now
        {
            return Ok(Arc::clone(users));
        }
        let bytes = read_bounded(&self.file, LARGEST).map_err(|e| self.fault(&e))?;
        let list: Vec<User> = serde_json::from_slice(&bytes).map_err(|e| self.fault(&e))?;
        let users: ByName = list.into_iter().map(|u| (u.name.clone(), u)).collect();
        let users = Arc::new(users);
        *read = Some((now, Arc::clone(&users)));
        Ok(users)
    }

    /// As a whole or not at all. Where root writes it, it belongs to who owns the folder, which is
    /// who reads it.
    fn write(&self, users: &ByName) -> Result<(), UsersError> {
        let list: Vec<&User> = users.values().collect();
        let bytes = serde_json::to_vec_pretty(&list).map_err(|e| self.fault(&e))?;
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let owner = std::fs::metadata(folder).map_err(|e| self.fault(&e))?;
        let is_root = rustix::process::geteuid().is_root();
        replace_durably(&self.file, 0o600, |file| {
            file.write_all(&bytes)?;
            match is_root {
                true => fchown(file, Some(owner.uid()), Some(owner.gid())),
                false => Ok(()),
            }
        })
        .map_err(|e| self.fault(&e))?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn fault(&self, why: &dyn std::fmt::Display) -> UsersError {
        UsersError::File {
            file: self.file.display().to_string(),
            why: why.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_user_is_found_by_another_hand_and_gone_when_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let (agent, tool) = (Users::of(folder.path()), Users::of(folder.path()));
        assert!(agent.find("李警官").unwrap().is_none());
        let password = Secret::new("long enough 1");
        tool.put("李警官", [Role::Officer].into(), &password)
            .unwrap();
        let user = agent.find("李警官").unwrap().unwrap();
        assert!(user.knows(&password) && !user.knows(&Secret::new("long enough 2")));
        assert!(!format!("{user:?}").contains("argon2"));
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);

        tool.put(
            "李警官",
            [Role::Operator].into(),
            &Secret::new("another long one"),
        )
        .unwrap();
        let changed = agent.find("李警官").unwrap().unwrap();
        assert_ne!(changed.mark(), user.mark());
        tool.remove("李警官").unwrap();
        assert!(agent.find("李警官").unwrap().is_none());
        assert!(matches!(tool.remove("李警官"), Err(UsersError::Unknown)));
    }

    #[test]
    fn names_roles_and_damaged_files_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::of(folder.path());
        let password = Secret::new("long enough 1");
        for wrong in ["", "a b", "<b>", "a\u{1b}[31m", &"x".repeat(65)] {
            let put = users.put(wrong, [Role::Officer].into(), &password);
            assert!(matches!(put, Err(UsersError::Name)), "{wrong:?}");
        }
        let put = users.put("a", BTreeSet::new(), &password);
        assert!(matches!(put, Err(UsersError::NoRole)));
        std::fs::write(folder.path().join(FILE), b"[{").unwrap();
        assert!(matches!(users.all(), Err(UsersError::File { .. })));
    }
}
