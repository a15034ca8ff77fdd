//! Which DeviceID each camera has: the list of cameras, as the gateway maps by it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kakou_contract::Id;
use kakou_gat1400::codes::PlateClassTable;
use kakou_gat1400::ids::DeviceId;
use kakou_gat1400::{CameraKey, Item, Mapping, Site, UpperLibrary};
use tokio_postgres::Row;

use crate::store::{Store, StoreError};

/// A DeviceID that was changed is seen by and by; one that is new, at once.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

pub(super) struct Cameras {
    pub(super) store: Store,
    pub(super) library: Arc<UpperLibrary>,
    pub(super) plate_class: PlateClassTable,
}

impl Cameras {
    /// Where a camera is not known yet, looks whether it is in the list now.
    pub(super) async fn know(&self, items: &[Item]) -> Result<(), StoreError> {
        let mapping = self.library.mapping();
        let keys = items.iter().map(|item| CameraKey::of(&item.passage));
        let unknown: Vec<CameraKey> = keys
            .filter(|key| !mapping.cameras.contains_key(key))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let of = |pick: fn(&CameraKey) -> &Id| -> Vec<String> {
            unknown.iter().map(|key| pick(key).to_string()).collect()
        };
        let select = "SELECT 1 FROM site_cameras c
             JOIN unnest($1::text[], $2::text[], $3::text[]) AS k (site, agent, camera)
                 USING (site, agent, camera)
             WHERE c.device IS NOT NULL LIMIT 1";
        let (sites, agents) = (of(|key| &key.site), of(|key| &key.agent));
        let cameras = of(|key| &key.camera);
        let client = self.store.client().await?;
        let found = client
            .query_opt(select, &[&sites, &agents, &cameras])
            .await?;
        drop(client);
        match found {
            Some(_) => self.refresh().await,
            None => Ok(()),
        }
    }

    pub(super) async fn refresh(&self) -> Result<(), StoreError> {
        let select = "SELECT site, agent, camera, device, tollgate FROM site_cameras
             WHERE device IS NOT NULL";
        let rows = self.store.client().await?.query(select, &[]).await?;
        let cameras: HashMap<CameraKey, Site> = rows.iter().filter_map(camera).collect();
        self.library.map_by(Mapping {
            cameras,
            plate_class: self.plate_class,
            ..Mapping::default()
        });
        Ok(())
    }

    /// Never ends.
    pub(super) async fn keep(&self) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the list of cameras cannot be read; it is tried again");
            }
        }
    }
}

/// The table lets in only what these take; a row that somebody wrote by hand is passed over.
fn camera(row: &Row) -> Option<(CameraKey, Site)> {
    let id = |n: usize, name: &'static str| Id::new(name, row.get::<_, String>(n)).ok();
    let key = CameraKey {
        site: id(0, "site")?,
        agent: id(1, "agent")?,
        camera: id(2, "camera")?,
    };
    let tollgate: Option<String> = row.get(4);
    let site = Site {
        device_id: DeviceId::new("device", row.get::<_, String>(3)).ok()?,
        tollgate_id: tollgate.and_then(|code| DeviceId::new("tollgate", code).ok()),
        // The list does not have them.
        looks: None,
        lanes: HashMap::new(),
        road: None,
    };
    Some((key, site))
}
