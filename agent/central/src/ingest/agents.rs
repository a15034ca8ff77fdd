//! Which agents there are, and by which key each is believed.
//!
//! A cache over the table `agents`: what is in it is never older than the last look at the table,
//! and an agent without a key is looked up anew for every batch, since another process may have
//! pinned it meanwhile. A pinned key changes only by an operator's hand; all are looked up anew
//! every [`LOOK_AGAIN`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kakou_contract::{Id, VerifyingKey};
use tokio_postgres::GenericClient;

use crate::store::StoreError;

/// How soon a running process sees a key that an operator set.
pub const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// Site and agent.
pub type Name = (Id, Id);

#[derive(Debug, Clone)]
pub struct Known {
    pub id: i32,
    /// `None`: not pinned yet.
    pub key: Option<VerifyingKey>,
}

#[derive(Debug, Clone, Default)]
pub struct Agents(Arc<RwLock<HashMap<Name, Known>>>);

impl Agents {
    /// All are looked up anew.
    pub fn forget(&self) {
        self.write().clear();
    }

    /// Each of these, with its key if there is one now. An agent that nobody has heard of gets a row.
    /// They are the caller's own: what is [forgotten](Self::forget) meanwhile is not missing there.
    pub async fn know(
        &self,
        client: &impl GenericClient,
        names: Vec<Name>,
    ) -> Result<HashMap<Name, Known>, StoreError> {
        let (mut sites, mut agents) = (Vec::new(), Vec::new());
        let mut theirs = HashMap::new();
        {
            let known = self.read();
            for name in names {
                match known.get(&name) {
                    Some(one) if one.key.is_some() => drop(theirs.insert(name, one.clone())),
                    _ => {
                        sites.push(name.0.to_string());
                        agents.push(name.1.to_string());
                    }
                }
            }
        }
        if sites.is_empty() {
            return Ok(theirs);
        }
        let insert = "INSERT INTO agents (site, agent) \
             SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS new (site, agent) \
             WHERE NOT EXISTS (SELECT FROM agents WHERE (agents.site, agents.agent) = (new.site, new.agent)) \
             ORDER BY 1, 2 ON CONFLICT DO NOTHING";
        client.execute(insert, &[&sites, &agents]).await?;
        let select = "SELECT site, agent, id, public_key FROM agents \
             JOIN unnest($1::text[], $2::text[]) AS wanted (site, agent) USING (site, agent)";
        let rows = client.query(select, &[&sites, &agents]).await?;
        let mut known = self.write();
        for row in rows {
            let (site, agent): (&str, &str) = (row.get(0), row.get(1));
            let (Ok(site), Ok(agent)) = (Id::new("site", site), Id::new("agent", agent)) else {
                continue;
            };
            let key: Option<&[u8]> = row.get(3);
            let key = key.and_then(|key| VerifyingKey::try_from(key).ok());
            let one = Known {
                id: row.get(2),
                key,
            };
            known.insert((site.clone(), agent.clone()), one.clone());
            theirs.insert((site, agent), one);
        }
        Ok(theirs)
    }

    /// Pins the key of an agent that has none; the key that it has from now on, which another
    /// process may have pinned first.
    pub async fn pin(
        &self,
        client: &impl GenericClient,
        name: &Name,
        known: &Known,
        key: &VerifyingKey,
    ) -> Result<Option<VerifyingKey>, StoreError> {
        let update = "UPDATE agents SET public_key = $2, key_source = 'birth', key_since = now() \
             WHERE id = $1 AND public_key IS NULL";
        let bytes: &[u8] = key.as_bytes();
        client.execute(update, &[&known.id, &bytes]).await?;
        let select = "SELECT public_key FROM agents WHERE id = $1";
        let row = client.query_one(select, &[&known.id]).await?;
        let key: Option<&[u8]> = row.get(0);
        let key = key.and_then(|key| VerifyingKey::try_from(key).ok());
        let id = known.id;
        self.write().insert(name.clone(), Known { id, key });
        Ok(key)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Name, Known>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<Name, Known>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
