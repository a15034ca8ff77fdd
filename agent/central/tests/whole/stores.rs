//! Where rows and pictures go, when that is another machine: a bucket, and a database behind TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use kakou_central::config::CentralConfig;
use kakou_central::scratch::ScratchPostgres;
use kakou_central::serve::Central;
use kakou_central::store::Store;

use crate::support::agent::{Agent, publish};
use crate::support::s3::{ACCESS_KEY, BUCKET, S3, SECRET_KEY};
use crate::support::{World, begin, mosquitto};

/// A certificate for `localhost` that vouches for itself, and its key: `c.pem` and `k.pem`.
fn identity(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("c.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("k.pem"), made.signing_key.serialize_pem()).unwrap();
}

/// The world's config with this bucket in place of the folder.
fn config(
    world: &World,
    endpoint: &str,
    secret: &str,
    more: &str,
) -> Result<CentralConfig, String> {
    let folder = world.folder.path();
    let secret_file = folder.join("bucket-key");
    std::fs::write(&secret_file, secret).unwrap();
    let objects = format!(
        "bucket = \"{BUCKET}\"\nendpoint = \"{endpoint}\"\naccess_key = \"{ACCESS_KEY}\"\n\
         secret_key_file = {secret_file:?}\n{more}"
    );
    let text = world.config_text("a");
    let (before, after) = text.split_once("folder = ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let path = folder.join("bucket.toml");
    std::fs::write(&path, format!("{before}{objects}\n{after}")).unwrap();
    CentralConfig::read(&path).map_err(|e| e.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_go_into_a_bucket_and_wait_while_it_is_away() {
    begin();
    let world = World::start().await;
    let store = world.folder.path().join("s3");
    let mut s3 = S3::start(&store, None).await;
    let config = config(&world, &s3.endpoint(), SECRET_KEY, "").unwrap();
    let central = Central::start(&config).await.unwrap();
    central.objects.reach().await.unwrap();
    central.subscribed().await;
    let mut agent = Agent::new("north-1", 7);
    let broker = world.broker.address();
    let bytes = b"\xff\xd8 a picture \xff\xd9";
    let (passage, picture) = agent.with_picture("粤C00001", bytes);
    publish(&broker, &[agent.status(), passage, picture]).await;
    const PICTURES: &str = "SELECT count(*) FROM pictures";
    world.becomes(PICTURES, 1).await;
    let key: String = {
        let row = world
            .client()
            .await
            .query_one("SELECT object FROM pictures", &[])
            .await;
        row.unwrap().get(0)
    };
    assert_eq!(std::fs::read(s3.object(&key)).unwrap(), bytes);
    let found = central.objects.get(&key).await.unwrap().unwrap();
    assert_eq!(&found[..], bytes);
    assert!(
        central
            .objects
            .get("2026-01-01/none.jpg")
            .await
            .unwrap()
            .is_none()
    );

    s3.stop();
    let (passage, picture) = agent.with_picture("粤C00002", b"\xff\xd8 another \xff\xd9");
    publish(&broker, &[passage, picture]).await;
    // Its passage is a row at once; a row of the picture would name an object that is not there.
    world.becomes("SELECT count(*) FROM passages", 2).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(world.number(PICTURES).await, 1);
    s3.again().await;
    world.becomes(PICTURES, 2).await;
    let wrong =
        "SELECT count(*) FROM alarms WHERE kind IN ('picture_altered', 'lost', 'unstorable')";
    assert_eq!(world.number(wrong).await, 0);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_reached_says_why_before_it_matters() {
    begin();
    let world = World::start().await;
    let (folder, store) = (world.folder.path(), world.folder.path().join("s3"));
    identity(folder);
    let (chain, key) = (folder.join("c.pem"), folder.join("k.pem"));
    let plain = S3::start(&store, None).await;
    let tls = S3::start(&store, Some((&chain, &key))).await;
    let ca = format!("ca = {chain:?}");
    for (endpoint, secret, more, wanted) in [
        (plain.endpoint(), SECRET_KEY, "", None),
        (tls.endpoint(), SECRET_KEY, &*ca, None),
        // Another key than the bucket's; a server that nobody vouches for.
        (plain.endpoint(), "wrong", "", Some("403")),
        (tls.endpoint(), SECRET_KEY, "", Some("certificate")),
    ] {
        let config = config(&world, &endpoint, secret, more).unwrap();
        let objects = kakou_central::ingest::Objects::open(&config.objects).unwrap();
        match (objects.reach().await, wanted) {
            (Ok(()), None) => {}
            (Err(error), Some(wanted)) => {
                let told = format!("{:#}", anyhow::Error::from(error));
                assert!(told.contains(wanted), "{wanted}: {told}");
                assert!(!told.contains(SECRET_KEY), "{told}");
            }
            other => panic!("{endpoint}: {other:?}"),
        }
    }
    for (endpoint, more, wanted) in [
        ("http://s3.example", "", "write https://"),
        ("ftp://s3.example", "", "neither http nor https"),
        ("s3.example", "", "write https://"),
    ] {
        let told = config(&world, endpoint, SECRET_KEY, more).unwrap_err();
        assert!(
            told.contains("objects.endpoint") && told.contains(wanted),
            "{told}"
        );
    }
    config(&world, "http://s3.example", SECRET_KEY, "plain_http = true").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_named_authority_vouches_for_the_database_and_no_other() {
    begin();
    let mut database = ScratchPostgres::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    identity(folder.path());
    let put = |name: &str| {
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        database.put(name, &bytes).unwrap()
    };
    let (certificate, key) = (put("c.pem"), put("k.pem"));
    let port = mosquitto::free_port();
    let settings = [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={certificate}"),
        format!("ssl_key_file={key}"),
    ];
    database.listen(port, &settings).await.unwrap();
    let url = format!("host=localhost port={port} user=kakou dbname=kakou sslmode=require");
    let ca = folder.path().join("c.pem");
    let store = Store::open_trusting(&url, Some(&ca), 2).unwrap();
    let client = store.client().await.unwrap();
    let ours = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(client.query_one(ours, &[]).await.unwrap().get::<_, bool>(0));
    drop(client);
    let store = Store::open(&url, 2).unwrap();
    let told = store.client().await.unwrap_err().to_string();
    assert!(
        told.contains("certificate") || told.contains("TLS"),
        "{told}"
    );
    let told = Store::open_trusting(&url, Some(&folder.path().join("none.pem")), 2).unwrap_err();
    assert!(told.to_string().contains("none.pem"), "{told}");
}
