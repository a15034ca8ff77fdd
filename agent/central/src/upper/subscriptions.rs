//! The table `upper_subscriptions`: what the upper library subscribes to.

use kakou_gat1400::wire::SubscribeObject;
use kakou_gat1400::{FieldError, Hosts, Subscription, SubscriptionStore};

use crate::store::{Store, StoreError};

pub(super) struct Subscriptions {
    pub(super) store: Store,
    pub(super) hosts: Hosts,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SubscriptionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error("it cannot be kept: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<tokio_postgres::Error> for SubscriptionError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

impl SubscriptionStore for Subscriptions {
    type Error = SubscriptionError;

    async fn all(&self) -> Result<Vec<SubscribeObject>, SubscriptionError> {
        let select = "SELECT object FROM upper_subscriptions ORDER BY id";
        let client = self.store.client().await?;
        let rows = client.query(select, &[]).await?;
        let object = |row: &tokio_postgres::Row| Ok(serde_json::from_value(row.get(0))?);
        rows.iter().map(object).collect()
    }

    async fn put(&self, object: SubscribeObject) -> Result<(), SubscriptionError> {
        let json = serde_json::to_value(&object)?;
        let one = Subscription::new(object, &self.hosts)?;
        let upsert =
            "INSERT INTO upper_subscriptions (id, object, resources, begins, ends, cancelled)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (id) DO UPDATE SET object = excluded.object,
                 resources = excluded.resources, begins = excluded.begins, ends = excluded.ends,
                 cancelled = excluded.cancelled";
        let (begins, ends) = one.period();
        let client = self.store.client().await?;
        client
            .execute(
                upsert,
                &[
                    &one.object().subscribe_id,
                    &json,
                    &one.resources(),
                    &begins,
                    &ends,
                    &one.is_cancelled(),
                ],
            )
            .await?;
        Ok(())
    }

    /// What waits for it goes by the sweep.
    async fn remove(&self, id: &str) -> Result<bool, SubscriptionError> {
        let delete = "DELETE FROM upper_subscriptions WHERE id = $1";
        let client = self.store.client().await?;
        Ok(client.execute(delete, &[&id]).await? > 0)
    }
}
