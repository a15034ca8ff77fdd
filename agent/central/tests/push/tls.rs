//! A webhook over TLS: the authority that the config names vouches, and no other.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::rig::{RED, Rig};

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("these tests need openssl: apt-get install openssl");
    assert!(done.status.success(), "{arguments}: {done:?}");
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!("req -x509 {curve} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"),
    );
    openssl(
        folder,
        &format!("req {curve} -keyout key.pem -out request -subj /CN=duty"),
    );
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    openssl(
        folder,
        "x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 \
         -extfile names",
    );
    let chain = CertificateDer::pem_file_iter(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_named_authority_vouches_and_no_other() {
    let rig = Rig::start().await;
    let folder = tempfile::tempdir().unwrap();
    let acceptor = acceptor(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    // It reads something, thanks, and closes.
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut room = vec![0; 64 << 10];
            if stream.read(&mut room).await.is_ok() {
                let thanks = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(thanks).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    let recipient = |name: &str, ca: &str| {
        format!(
            "[[recipient]]\nname = \"{name}\"\nlevels = [\"red\"]\nstates = [\"confirmed\"]\n\
             areas = [\"all\"]\nwebhook = {{ url = \"{url}\", secret_file = \"KEY\"{ca} }}\n"
        )
    };
    let ca = format!(
        ", ca = {:?}",
        folder.path().join("ca.pem").to_str().unwrap()
    );
    let recipients = rig.recipients(&(recipient("knows", &ca) + &recipient("doubts", "")));
    let _pusher = rig.push(&recipients);
    rig.hits(&recipients, &[RED]).await;
    rig.until(
        "SELECT recipient FROM deliveries WHERE done_at IS NOT NULL",
        "knows",
    )
    .await;
    rig.until(
        "SELECT count(*) FROM deliveries WHERE recipient = 'doubts' AND attempts > 1",
        "1",
    )
    .await;
    let error = rig
        .value("SELECT error FROM deliveries WHERE recipient = 'doubts'")
        .await;
    assert!(error.contains("certificate"), "{error}");
    server.abort();
}
