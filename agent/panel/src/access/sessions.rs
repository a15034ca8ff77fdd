//! Who is in. A session lives in memory: a restart of the agent asks everybody for the password
//! again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::role::Role;
use super::users::{User, Users};

/// A session that nobody used for this long is over: the length of a shift.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// And every session after this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Of more, those that were used longest ago go.
const SESSIONS_MOST: usize = 512;
const OF_ONE_USER: usize = 16;
/// Requests that a session may make at once, and per second after that.
const BURST: f64 = 200.0;
const RATE: f64 = 60.0;

/// The random text that the cookie carries. Only its hash is kept.
pub type Token = String;

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
        self.csrf.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

struct Kept {
    session: Session,
    /// The user's mark when it began.
    mark: String,
    began: Duration,
    used: Duration,
    /// What is left of the burst.
    left: f64,
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

pub struct Sessions {
    users: Arc<Users>,
    /// By the hash of the token.
    all: Mutex<HashMap<[u8; 32], Kept>>,
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// 256 random bits.
fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

impl Sessions {
    pub fn new(users: Arc<Users>) -> Self {
        Self {
            users,
            all: Mutex::default(),
        }
    }

    /// A new session for a user who has shown the password. `now` never runs backwards.
    pub fn begin(&self, user: &User, now: Duration) -> Result<(Token, Session), getrandom::Error> {
        let (token, csrf) = (random()?, random()?);
        let session = Session {
            user: user.name.clone(),
            roles: user.roles.clone(),
            csrf,
        };
        let kept = Kept {
            session: session.clone(),
            mark: user.mark().to_owned(),
            began: now,
            used: now,
            left: BURST,
        };
        let mut all = self.lock();
        all.retain(|_, kept| !is_over(kept, now));
        all.insert(hash(&token), kept);
        let of_user = |kept: &Kept| kept.session.user == user.name;
        drop_oldest(&mut all, OF_ONE_USER, of_user);
        drop_oldest(&mut all, SESSIONS_MOST, |_| true);
        Ok((token, session))
    }

    /// The session of a token, with the roles that its user has now.
    pub fn find(&self, token: &str, now: Duration) -> Result<Session, Out> {
        let key = hash(token);
        let mut all = self.lock();
        let kept = all.get_mut(&key).ok_or(Out::Unknown)?;
        // A file that is damaged for a moment ends nobody's session.
        let user = self
            .users
            .find(&kept.session.user)
            .map_err(|_| Out::Unreadable)?;
        let Some(user) = user.filter(|u| u.mark() == kept.mark && !is_over(kept, now)) else {
            all.remove(&key);
            return Err(Out::Unknown);
        };
        let since = now.saturating_sub(kept.used).as_secs_f64();
        kept.left = (kept.left + since * RATE).min(BURST);
        kept.used = now;
        if kept.left < 1.0 {
            return Err(Out::TooMany);
        }
        kept.left -= 1.0;
        kept.session.roles = user.roles;
        Ok(kept.session.clone())
    }

    /// Whether a session that something is being sent to still holds, without counting as a use.
    pub fn holds(&self, token: &str, now: Duration) -> bool {
        let all = self.lock();
        all.get(&hash(token)).is_some_and(|kept| {
            let is_same = match self.users.find(&kept.session.user) {
                Ok(user) => user.is_some_and(|u| u.mark() == kept.mark),
                Err(_) => true,
            };
            !is_over(kept, now) && is_same
        })
    }

    pub fn end(&self, token: &str) {
        self.lock().remove(&hash(token));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Kept>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(kept: &Kept, now: Duration) -> bool {
    now.saturating_sub(kept.used) > IDLE || now.saturating_sub(kept.began) > LONGEST
}

fn drop_oldest(all: &mut HashMap<[u8; 32], Kept>, most: usize, of: impl Fn(&Kept) -> bool) {
    while all.values().filter(|kept| of(kept)).count() > most {
        let oldest = all
            .iter()
            .filter(|(_, kept)| of(kept))
            .min_by_key(|(_, kept)| kept.used)
            .map(|(key, _)| *key);
        let Some(oldest) = oldest else { return };
        all.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
