//! A server that speaks S3 and checks who asks: the crate s3s-fs, over a folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub const ACCESS_KEY: &str = "kakou-central";
pub const SECRET_KEY: &str = "a secret of the bucket";
pub const BUCKET: &str = "pictures";

pub(crate) struct S3 {
    folder: PathBuf,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    task: JoinHandle<()>,
}

impl S3 {
    /// `folder` holds the bucket. With TLS where certificate and key are given.
    pub async fn start(folder: &Path, identity: Option<(&Path, &Path)>) -> Self {
        std::fs::create_dir_all(folder.join(BUCKET)).unwrap();
        let tls = identity.map(|(chain, key)| {
            TlsAcceptor::from(kakou_entry::identity::server_config(chain, key).unwrap())
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve(listener, service(folder), tls.clone()));
        Self {
            folder: folder.to_owned(),
            address,
            tls,
            task,
        }
    }

    pub fn endpoint(&self) -> String {
        match self.tls {
            None => format!("http://{}", self.address),
            Some(_) => format!("https://localhost:{}", self.address.port()),
        }
    }

    /// Where the bucket keeps this object.
    pub fn object(&self, key: &str) -> PathBuf {
        self.folder.join(BUCKET).join(key)
    }

    pub fn stop(&mut self) {
        self.task.abort();
    }

    /// At the same address, with what it had.
    pub async fn again(&mut self) {
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        self.task = tokio::spawn(serve(listener, service(&self.folder), self.tls.clone()));
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn service(folder: &Path) -> S3Service {
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    builder.build()
}

/// Connections end with it.
async fn serve(listener: TcpListener, service: S3Service, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (service, tls) = (service.clone(), tls.clone());
        connections.spawn(async move {
            let http = http1::Builder::new();
            match tls {
                None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        drop(http.serve_connection(TokioIo::new(stream), service).await);
                    }
                }
            }
        });
    }
}
