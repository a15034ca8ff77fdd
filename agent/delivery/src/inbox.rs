//! What is done with each chunk of a list, and what is asked for. One inbox for each list; time is
//! handed in, files are those of the vault.

use std::collections::VecDeque;
use std::time::Duration;

use kakou_contract::{
    AUDIT_RANGES_MAX, Edition, EditionError, Id, ListChunk, Sequence, VerifyingKey, clip,
};

use crate::content::{ContentError, apply, unpack};
use crate::package::content_of;
use crate::partial::Partial;
use crate::vault::{Vault, VaultError};

/// How long nothing comes before what is missing is asked for; twice as long each time nothing
/// comes of it.
const ASK_AFTER: Duration = Duration::from_secs(30);
const ASK_MOST: Duration = Duration::from_secs(3600);
/// The same reason is told once in this time, and no more than so many reasons.
const TELL_EVERY: Duration = Duration::from_secs(600);
const TELL_MOST: usize = 16;
/// Of an edition's text or a reason from outside, in characters.
const DETAIL_MAX: usize = 300;

#[derive(Debug, Clone)]
pub struct InboxOptions {
    pub list: Id,
    /// Where this box stands: an edition may be meant for some sites alone.
    pub site: Id,
    /// The platform's keys.
    pub trusted: Vec<VerifyingKey>,
    pub vault: Vault,
}

/// What came of a chunk that somebody is to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The list in the vault is a new one.
    Stored { version: Sequence, entries: u64 },
    /// Nothing has changed, and why. Not told for each chunk of a flood.
    Refused {
        version: Option<Sequence>,
        detail: String,
    },
}

/// What the platform is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The version in use.
    pub have: Option<Sequence>,
    /// The edition of which chunks are missing; `None`: every edition after `have`, or the whole.
    pub version: Option<Sequence>,
    pub chunks: Vec<[u64; 2]>,
}

/// Why an edition is not taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Edition(#[from] EditionError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("not kept: {0}")]
    Vault(#[from] VaultError),
    #[error("it is the list {0}")]
    OtherList(Id),
    #[error("it is meant for other sites")]
    OtherSite,
    #[error("version {version} is not newer than version {have}, which is in use")]
    Old { version: Sequence, have: Sequence },
    #[error("it changes version {base}; version {} is in use", shown(*have))]
    Gap {
        base: Sequence,
        have: Option<Sequence>,
    },
    #[error("another edition has the same version {0}")]
    Twice(Sequence),
    #[error("its {what} is not the one that was signed; it is asked for anew")]
    Damaged { what: &'static str },
}

fn shown(version: Option<Sequence>) -> String {
    version.map_or("none".to_owned(), |v| v.to_string())
}

/// What the vault has.
#[derive(Debug, Clone)]
struct Have {
    edition: Edition,
    /// It is signed with a trusted key and whole.
    usable: bool,
}

/// Takes the chunks of one list.
#[derive(Debug)]
pub struct Inbox {
    options: InboxOptions,
    have: Option<Have>,
    partial: Option<Partial>,
    /// The newest version that a trusted key signed for this box.
    newest: Option<Sequence>,
    ask_at: Duration,
    ask_after: Duration,
    told: VecDeque<(String, Duration)>,
}

impl Inbox {
    /// With what earlier runs left in the vault.
    pub fn open(options: InboxOptions, now: Duration) -> Self {
        let (list, vault) = (&options.list, &options.vault);
        let usable = vault.load(list, &options.trusted).ok().flatten();
        let have = match usable {
            Some(stored) => Some(Have {
                edition: stored.edition,
                usable: true,
            }),
            None => vault.floor(list).map(|edition| Have {
                edition,
                usable: false,
            }),
        };
        let partial = Partial::resume(vault, list, &options.trusted);
        let mut inbox = Self {
            options,
            have,
            partial: None,
            newest: None,
            ask_at: now + ASK_AFTER,
            ask_after: ASK_AFTER,
            told: VecDeque::new(),
        };
        if let Some(partial) = partial {
            inbox.newest = Some(partial.edition.version);
            if inbox.is_wanted(&partial.edition).is_ok() {
                inbox.partial = Some(partial);
            } else {
                Partial::discard(&inbox.options.vault, &inbox.options.list);
            }
        }
        inbox
    }

    /// The version in use.
    pub fn version(&self) -> Option<Sequence> {
        let have = self.have.as_ref().filter(|have| have.usable);
        have.map(|have| have.edition.version)
    }

    /// Takes what came on this list's topic. Blocks while it writes, and for longer when an edition
    /// is complete.
    pub fn hear(&mut self, payload: &[u8], now: Duration) -> Option<Told> {
        let chunk = match ListChunk::parse(payload) {
            Ok(chunk) => chunk,
            Err(e) => return self.refused(None, e.into(), now),
        };
        // Before anything of it is kept.
        let edition = match chunk.signed.open(&self.options.trusted) {
            Ok(edition) => edition,
            Err(e) => return self.refused(None, e.into(), now),
        };
        let version = Some(edition.version);
        match self.take(&chunk, edition, now) {
            Ok(told) => told,
            Err(refusal) => self.refused(version, refusal, now),
        }
    }

    fn take(
        &mut self,
        chunk: &ListChunk,
        edition: Edition,
        now: Duration,
    ) -> Result<Option<Told>, Refusal> {
        if edition.list != self.options.list {
            return Err(Refusal::OtherList(edition.list));
        }
        if !edition.sites.is_empty() && !edition.sites.contains(&self.options.site) {
            return Err(Refusal::OtherSite);
        }
        if self
            .have
            .as_ref()
            .is_some_and(|h| h.usable && h.edition == edition)
        {
            // A repeat: at least once is what MQTT promises.
            return Ok(None);
        }
        let wanted = self.is_wanted(&edition);
        if wanted.is_ok() || matches!(wanted, Err(Refusal::Gap { .. })) {
            self.newest = self.newest.max(Some(edition.version));
        }
        if let Err(Refusal::Gap { .. }) = wanted
            && self.partial.is_some()
        {
            // Perhaps the edition that is on its way closes the gap; if not, it is asked for.
            return Ok(None);
        }
        wanted?;
        let bytes = chunk.bytes(&edition)?;
        let vault = &self.options.vault;
        let partial = match &mut self.partial {
            Some(partial) if partial.edition == edition => partial,
            Some(other) if other.edition.version > edition.version => return Ok(None),
            Some(other) if other.edition.version == edition.version => {
                return Err(Refusal::Twice(edition.version));
            }
            _ => self
                .partial
                .insert(Partial::begin(vault, &chunk.signed, &edition)?),
        };
        if partial.has(chunk.chunk) {
            return Ok(None);
        }
        if let Err(e) = partial.put(vault, chunk.chunk, &bytes) {
            // A file that could not be written is begun anew with the next chunk.
            self.partial = None;
            return Err(e.into());
        }
        self.ask_after = ASK_AFTER;
        self.ask_at = now + ASK_AFTER;
        match partial.is_complete() {
            true => self.complete().map(Some),
            false => Ok(None),
        }
    }

    /// Whether an edition may come after what is in use.
    fn is_wanted(&self, edition: &Edition) -> Result<(), Refusal> {
        let (version, base) = (edition.version, edition.base);
        match &self.have {
            Some(have) if have.usable => {
                let has = have.edition.version;
                if version <= has {
                    return Err(Refusal::Old { version, have: has });
                }
                match base {
                    Some(base) if base != has => Err(Refusal::Gap {
                        base,
                        have: Some(has),
                    }),
                    _ => Ok(()),
                }
            }
            other => {
                // What cannot be used any more still keeps older ones out.
                let floor = other.as_ref().map(|have| have.edition.version);
                match (floor, base) {
                    (Some(floor), _) if version < floor => Err(Refusal::Old {
                        version,
                        have: floor,
                    }),
                    (_, Some(base)) => Err(Refusal::Gap { base, have: None }),
                    _ => Ok(()),
                }
            }
        }
    }

    /// All chunks are there: the list is made, checked and kept.
    fn complete(&mut self) -> Result<Told, Refusal> {
        let Some(mut partial) = self.partial.take() else {
            return Err(Refusal::Damaged { what: "content" });
        };
        let (vault, list) = (&self.options.vault, &self.options.list);
        let made = make(&mut partial, vault, list, &self.options.trusted);
        Partial::discard(vault, list);
        let text = made?;
        vault.store(list, &partial.signed, &text)?;
        let edition = partial.edition;
        let told = Told::Stored {
            version: edition.version,
            entries: edition.entries,
        };
        self.have = Some(Have {
            edition,
            usable: true,
        });
        Ok(told)
    }

    /// What to ask the platform for, if it is time to.
    pub fn ask(&mut self, now: Duration) -> Option<Wanted> {
        let have = self.version();
        let lacks = match (&self.partial, self.newest) {
            (Some(_), _) => true,
            (None, Some(newest)) => have < Some(newest),
            (None, None) => have.is_none(),
        };
        if !lacks || now < self.ask_at {
            return None;
        }
        self.ask_at = now + self.ask_after;
        self.ask_after = (self.ask_after * 2).min(ASK_MOST);
        let (version, mut chunks) = match &self.partial {
            Some(partial) => (Some(partial.edition.version), partial.missing().pairs()),
            None => (None, Vec::new()),
        };
        chunks.truncate(AUDIT_RANGES_MAX);
        Some(Wanted {
            have,
            version,
            chunks,
        })
    }

    fn refused(
        &mut self,
        version: Option<Sequence>,
        refusal: Refusal,
        now: Duration,
    ) -> Option<Told> {
        let detail = kakou_guard::clean_line(&refusal.to_string());
        let detail = clip(&detail, DETAIL_MAX).into_owned();
        self.told
            .retain(|(_, at)| now.saturating_sub(*at) < TELL_EVERY);
        // Without what is said of this one edition: a flood of made-up versions is one reason.
        let reason = match &refusal {
            Refusal::Edition(EditionError::Foreign(_)) => "foreign".to_owned(),
            Refusal::Edition(EditionError::Form(_)) => "form".to_owned(),
            _ => detail.clone(),
        };
        if self.told.len() >= TELL_MOST || self.told.iter().any(|(known, _)| *known == reason) {
            return None;
        }
        self.told.push_back((reason, now));
        Some(Told::Refused { version, detail })
    }
}

/// The text of the list that an edition makes, if it is the one that was signed.
fn make(
    partial: &mut Partial,
    vault: &Vault,
    list: &Id,
    trusted: &[VerifyingKey],
) -> Result<Vec<u8>, Refusal> {
    let edition = partial.edition.clone();
    let packed = partial.joined(vault)?;
    if content_of(&packed) != edition.packed {
        return Err(Refusal::Damaged { what: "content" });
    }
    let text = match edition.base {
        None => unpack(&packed, edition.whole.bytes)?,
        Some(base) => {
            let old = vault.load(list, trusted)?;
            let old = old.filter(|old| old.edition.version == base);
            let old = old.ok_or(Refusal::Gap { base, have: None })?;
            // Lines that go and lines that come: no more than both lists have.
            let most = edition
                .whole
                .bytes
                .saturating_add(2 * old.edition.whole.bytes);
            apply(&old.text, &unpack(&packed, most)?)?
        }
    };
    match content_of(&text) == edition.whole {
        true => Ok(text),
        false => Err(Refusal::Damaged { what: "list" }),
    }
}
