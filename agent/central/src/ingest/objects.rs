//! Where pictures lie: a folder, or a bucket that speaks S3.
//!
//! A picture is there, and on the disk, before its row is. One that is written again is the same one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kakou_guard::Secret;
use kakou_guard::file::read_bounded;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{Certificate, ClientOptions, ObjectStore, ObjectStoreExt as _, PutPayload};
use serde::Deserialize;
use tokio::task::JoinSet;
use url::Url;

use crate::here::is_this_machine;

/// Puts at once.
const AT_ONCE: usize = 16;
/// Of a file of certificates.
const CA_MOST: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    #[error("objects.folder {path}: {why}")]
    Folder { path: PathBuf, why: String },
    #[error("objects: give either folder or bucket")]
    Which,
    #[error("objects.bucket {bucket}: {why}")]
    Bucket { bucket: String, why: String },
    #[error("object store: a write ended unexpectedly: {0}")]
    Ended(String),
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
}

/// `[objects]` of the config.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsConfig {
    /// A folder of this machine.
    pub folder: Option<PathBuf>,
    /// Or a bucket.
    pub bucket: Option<String>,
    /// Of the bucket's server, as `https://s3.example`.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub access_key: Option<String>,
    /// The file with the secret key.
    pub secret_key_file: Option<PathBuf>,
    /// Who may vouch for the bucket's server; missing: whom this machine trusts.
    pub ca: Option<PathBuf>,
    /// A server beyond this machine without TLS.
    #[serde(default)]
    pub plain_http: bool,
}

impl ObjectsConfig {
    /// Why the endpoint is none.
    pub fn check(&self) -> Result<(), String> {
        let Some(endpoint) = &self.endpoint else {
            return Ok(());
        };
        let url = Url::parse(endpoint).map_err(|e| format!("{e}; write https://s3.example"))?;
        let host = url
            .host()
            .ok_or("it names no host; write https://s3.example")?;
        let is_here = is_this_machine(&host);
        match url.scheme() {
            "https" => Ok(()),
            "http" if is_here || self.plain_http => Ok(()),
            "http" => Err(
                "plain HTTP beyond this machine: everybody on the way sees the pictures; write https://, or say plain_http = true"
                    .to_owned(),
            ),
            _ => Err("neither http nor https; write https://s3.example".to_owned()),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Objects(Arc<dyn ObjectStore>);

impl Objects {
    pub fn open(config: &ObjectsConfig) -> Result<Self, ObjectsError> {
        match (&config.folder, &config.bucket) {
            (Some(folder), None) => Self::folder(folder),
            (None, Some(bucket)) => Self::bucket(bucket, config),
            _ => Err(ObjectsError::Which),
        }
    }

    fn folder(folder: &Path) -> Result<Self, ObjectsError> {
        let fault = |why: String| ObjectsError::Folder {
            path: folder.to_owned(),
            why,
        };
        std::fs::create_dir_all(folder).map_err(|e| fault(e.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|e| fault(e.to_string()))?;
        // The row says that the picture is there: it must survive a power cut as the row does.
        Ok(Self(Arc::new(store.with_fsync(true))))
    }

    fn bucket(bucket: &str, config: &ObjectsConfig) -> Result<Self, ObjectsError> {
        let fault = |why: String| ObjectsError::Bucket {
            bucket: bucket.to_owned(),
            why,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(config.region.as_deref().unwrap_or("us-east-1"));
        config.check().map_err(fault)?;
        if let Some(path) = &config.ca {
            let pem = read_bounded(path, CA_MOST)
                .map_err(|e| fault(format!("{}: {}", path.display(), e.why)))?;
            let bundle = Certificate::from_pem_bundle(&pem);
            let bundle = bundle.map_err(|e| fault(format!("{}: {e}", path.display())))?;
            let with = ClientOptions::with_root_certificate;
            builder =
                builder.with_client_options(bundle.into_iter().fold(ClientOptions::new(), with));
        }
        if let Some(endpoint) = &config.endpoint {
            let is_plain = endpoint.starts_with("http://");
            builder = builder.with_endpoint(endpoint).with_allow_http(is_plain);
        }
        if let Some(key) = &config.access_key {
            builder = builder.with_access_key_id(key);
        }
        if let Some(path) = &config.secret_key_file {
            let secret = Secret::from_file(path).map_err(|e| fault(e.to_string()))?;
            builder = builder.with_secret_access_key(secret.reveal());
        }
        let store = builder.build().map_err(|e| fault(e.to_string()))?;
        Ok(Self(Arc::new(store)))
    }

    /// All of them, or an error.
    pub async fn put(&self, pictures: Vec<(String, Bytes)>) -> Result<(), ObjectsError> {
        let mut running = JoinSet::new();
        for (key, bytes) in pictures {
            if running.len() >= AT_ONCE
                && let Some(done) = running.join_next().await
            {
                done.map_err(|e| ObjectsError::Ended(e.to_string()))??;
            }
            let store = Arc::clone(&self.0);
            running.spawn(async move { store.put(&key.into(), PutPayload::from(bytes)).await });
        }
        while let Some(done) = running.join_next().await {
            done.map_err(|e| ObjectsError::Ended(e.to_string()))??;
        }
        Ok(())
    }

    /// Whether pictures can be read there. It changes nothing.
    pub async fn reach(&self) -> Result<(), ObjectsError> {
        self.get("kakou-check").await.map(drop)
    }

    /// `None`: there is none of this name.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectsError> {
        match self.0.get(&key.into()).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
