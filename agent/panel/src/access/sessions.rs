//! Who is in, and what each may do now: the sessions are [`kakou_entry`]'s, the users the panel's own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kakou_entry::{Token, is_same};

use super::role::Role;
use super::users::{User, Users};

const SESSIONS_MOST: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub user: String,
    pub roles: BTreeSet<Role>,
    /// What a request that changes something has to carry beside the cookie.
    pub csrf: String,
}

impl Session {
    pub fn has(&self, any: &[Role]) -> bool {
        any.iter().any(|role| self.roles.contains(role))
    }

    pub fn is_token(&self, given: &str) -> bool {
        is_same(&self.csrf, given)
    }
}

/// Why a request of a session is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// There is no such session any more.
    Unknown,
    TooMany,
    /// The users cannot be read now.
    Unreadable,
}

impl From<kakou_entry::Out> for Out {
    fn from(out: kakou_entry::Out) -> Self {
        match out {
            kakou_entry::Out::Unknown => Self::Unknown,
            kakou_entry::Out::TooMany => Self::TooMany,
        }
    }
}

pub struct Sessions {
    users: Arc<Users>,
    all: kakou_entry::Sessions,
}

impl Sessions {
    pub fn new(users: Arc<Users>) -> Self {
        Self {
            users,
            all: kakou_entry::Sessions::new(SESSIONS_MOST),
        }
    }

    /// A new session for a user who has shown the password. `now` never runs backwards.
    pub fn begin(&self, user: &User, now: Duration) -> Result<(Token, Session), getrandom::Error> {
        let (token, session) = self.all.begin(&user.name, user.mark(), now)?;
        let session = Session {
            user: session.user,
            roles: user.roles.clone(),
            csrf: session.csrf,
        };
        Ok((token, session))
    }

    /// The session of a token, with the roles that its user has now.
    pub fn find(&self, token: &str, now: Duration) -> Result<Session, Out> {
        let kept = self.all.holds(token, now).ok_or(Out::Unknown)?;
        // A file that is damaged for a moment ends nobody's session.
        let user = self.users.find(&kept.user).map_err(|_| Out::Unreadable)?;
        let Some(user) = user.filter(|user| user.mark() == kept.mark) else {
            self.all.end(token);
            return Err(Out::Unknown);
        };
        let session = self.all.find(token, now)?;
        Ok(Session {
            user: session.user,
            roles: user.roles,
            csrf: session.csrf,
        })
    }

    /// Whether a session that something is being sent to still holds, without counting as a use.
    pub fn holds(&self, token: &str, now: Duration) -> bool {
        self.all
            .holds(token, now)
            .is_some_and(|kept| match self.users.find(&kept.user) {
                Ok(user) => user.is_some_and(|user| user.mark() == kept.mark),
                Err(_) => true,
            })
    }

    pub fn end(&self, token: &str) {
        self.all.end(token);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kakou_entry::{IDLE, OF_ONE_USER};
    use kakou_guard::Secret;

    use super::*;

    fn rig() -> (tempfile::TempDir, Arc<Users>, Sessions) {
        let folder = tempfile::tempdir().unwrap();
        let users = Arc::new(Users::of(folder.path()));
        let password = Secret::new("long enough 1");
        users.put("li", [Role::Officer].into(), &password).unwrap();
        let sessions = Sessions::new(Arc::clone(&users));
        (folder, users, sessions)
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_session_ends_by_idleness_by_age_by_logout_and_by_another_password() {
        let (folder, users, sessions) = rig();
        let li = || users.find("li").unwrap().unwrap();
        let begin = |now| sessions.begin(&li(), now).unwrap().0;

        let token = begin(at(0));
        assert_eq!(sessions.find(&token, at(5)).unwrap().user, "li");
        assert_eq!(sessions.find("other", at(5)), Err(Out::Unknown));
        let late = at(5) + IDLE + at(1);
        assert_eq!(sessions.find(&token, late), Err(Out::Unknown));

        let token = begin(at(0));
        let used = |hours: u64| sessions.find(&token, at(hours * 3600)).is_ok();
        assert!(used(11) && used(22));
        assert!(!used(25), "a day is the most");

        let token = begin(at(0));
        sessions.end(&token);
        assert_eq!(sessions.find(&token, at(1)), Err(Out::Unknown));

        let token = begin(at(0));
        assert!(sessions.holds(&token, at(1)));
        let file = folder.path().join("panel-users.json");
        let sound = std::fs::read(&file).unwrap();
        std::fs::write(&file, b"[{").unwrap();
        assert_eq!(sessions.find(&token, at(1)), Err(Out::Unreadable));
        assert!(sessions.holds(&token, at(1)));
        std::fs::write(&file, sound).unwrap();
        assert!(sessions.find(&token, at(1)).is_ok());
        users
            .put("li", [Role::Officer].into(), &Secret::new("a new password"))
            .unwrap();
        assert!(!sessions.holds(&token, at(1)));
        assert_eq!(sessions.find(&token, at(2)), Err(Out::Unknown));
    }

    #[test]
    fn a_session_that_asks_without_end_is_held_back() {
        let (_folder, users, sessions) = rig();
        let (token, _) = sessions
            .begin(&users.find("li").unwrap().unwrap(), at(0))
            .unwrap();
        let answered = (0..1000)
            .filter(|_| sessions.find(&token, at(0)).is_ok())
            .count();
        assert_eq!(answered, 200);
        assert_eq!(sessions.find(&token, at(0)), Err(Out::TooMany));
        assert!(sessions.find(&token, at(1)).is_ok());
    }

    #[test]
    fn tokens_differ_and_old_sessions_make_room() {
        let (_folder, users, sessions) = rig();
        let li = users.find("li").unwrap().unwrap();
        let all: Vec<_> = (0..20)
            .map(|n| sessions.begin(&li, at(n)).unwrap())
            .collect();
        let distinct: BTreeSet<_> = all.iter().flat_map(|(t, s)| [t, &s.csrf]).collect();
        assert_eq!(distinct.len(), 40);
        let live = all
            .iter()
            .filter(|(t, _)| sessions.holds(t, at(20)))
            .count();
        assert_eq!(live, OF_ONE_USER);
        assert!(sessions.holds(&all[19].0, at(20)) && !sessions.holds(&all[0].0, at(20)));
        assert!(all[0].1.is_token(&all[0].1.csrf.clone()) && !all[0].1.is_token("x"));
    }
}
