//! Who is in. A session lives in memory: a restart asks everybody for the password again. What its
//! user may do is each server's own to say.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A session that nobody used for this long is over: the length of a shift.
pub const IDLE: Duration = Duration::from_secs(12 * 3600);
/// And every session after this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Of more, those that were used longest ago go.
pub const OF_ONE_USER: usize = 16;
/// Requests that a session or a program may make at once, and per second after that.
const BURST: f64 = 200.0;
const RATE: f64 = 60.0;

/// The random text that a cookie or a program carries. Only its hash is kept.
pub type Token = String;

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// There is no such session any more.
    Unknown,
    TooMany,
}

/// What a session is, beside what its user may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub user: String,
    /// What a request that changes something has to carry beside the cookie.
    pub csrf: String,
    /// The user's mark when it began: another password has another mark, and ends it.
    pub mark: String,
}

/// Whether two secret texts are the same, in a time that does not say where they differ.
pub fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// 256 random bits.
pub fn random() -> Result<Token, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// What is kept of a token.
pub fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[derive(Clone, Copy)]
struct Bucket {
    /// What is left of the burst.
    left: f64,
    used: Duration,
}

impl Bucket {
    fn full(now: Duration) -> Self {
        Self {
            left: BURST,
            used: now,
        }
    }

    fn take(&mut self, now: Duration) -> Result<(), Out> {
        let since = now.saturating_sub(self.used).as_secs_f64();
        self.left = (self.left + since * RATE).min(BURST);
        self.used = now;
        if self.left < 1.0 {
            return Err(Out::TooMany);
        }
        self.left -= 1.0;
        Ok(())
    }
}

struct Kept {
    session: Session,
    began: Duration,
    bucket: Bucket,
}

pub struct Sessions {
    most: usize,
    /// By the hash of the token.
    all: Mutex<HashMap<[u8; 32], Kept>>,
    /// Of tokens of programs, by the user.
    programs: Mutex<HashMap<String, Bucket>>,
}

impl Sessions {
    /// At most so many at a time.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            all: Mutex::default(),
            programs: Mutex::default(),
        }
    }

    /// A new session for a user who has shown the password. `now` never runs backwards.
    pub fn begin(
        &self,
        user: &str,
        mark: &str,
        now: Duration,
    ) -> Result<(Token, Session), getrandom::Error> {
        let (token, csrf) = (random()?, random()?);
        let session = Session {
            user: user.to_owned(),
            csrf,
            mark: mark.to_owned(),
        };
        let kept = Kept {
            session: session.clone(),
            began: now,
            bucket: Bucket::full(now),
        };
        let mut all = self.lock();
        all.retain(|_, kept| !is_over(kept, now));
        all.insert(hash_of(&token), kept);
        drop_oldest(&mut all, OF_ONE_USER, |kept| kept.session.user == user);
        drop_oldest(&mut all, self.most, |_| true);
        Ok((token, session))
    }

    /// The session of a cookie's token; this counts as a use.
    pub fn find(&self, token: &str, now: Duration) -> Result<Session, Out> {
        let key = hash_of(token);
        let mut all = self.lock();
        let kept = all.get_mut(&key).ok_or(Out::Unknown)?;
        if is_over(kept, now) {
            all.remove(&key);
            return Err(Out::Unknown);
        }
        kept.bucket.take(now)?;
        Ok(kept.session.clone())
    }

    /// A session that something is being sent to, if it still holds, without counting as a use.
    pub fn holds(&self, token: &str, now: Duration) -> Option<Session> {
        let all = self.lock();
        let kept = all
            .get(&hash_of(token))
            .filter(|kept| !is_over(kept, now))?;
        Some(kept.session.clone())
    }

    pub fn end(&self, token: &str) {
        self.lock().remove(&hash_of(token));
    }

    /// A request of a program that showed a token of this user.
    pub fn program(&self, user: &str, now: Duration) -> Result<(), Out> {
        let mut all = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        // A bucket that is full again says nothing.
        let refill = Duration::from_secs_f64(BURST / RATE);
        all.retain(|_, bucket| now.saturating_sub(bucket.used) < refill);
        all.entry(user.to_owned())
            .or_insert_with(|| Bucket::full(now))
            .take(now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Kept>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(kept: &Kept, now: Duration) -> bool {
    now.saturating_sub(kept.bucket.used) > IDLE || now.saturating_sub(kept.began) > LONGEST
}

fn drop_oldest(all: &mut HashMap<[u8; 32], Kept>, most: usize, of: impl Fn(&Kept) -> bool) {
    while all.values().filter(|kept| of(kept)).count() > most {
        let oldest = all
            .iter()
            .filter(|(_, kept)| of(kept))
            .min_by_key(|(_, kept)| kept.bucket.used)
            .map(|(key, _)| *key);
        let Some(oldest) = oldest else { return };
        all.remove(&oldest);
    }
}
