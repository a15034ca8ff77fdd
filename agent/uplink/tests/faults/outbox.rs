//! An outbox that fails, for a while or for good, never ends the uplink.

use kakou_uplink::{Drain, LinkState, StoreError};

use super::memory::Fault;
use super::rig::{LONG, Rig, on, quick, until};
use super::scripted::{Answer, Scripted, Seen};

async fn broker() -> Scripted {
    Scripted::start(10, |_: &Seen| Answer::Ack(0)).await
}

fn away() -> Fault {
    Fault::Error(StoreError::Unavailable("database is locked".to_owned()))
}

#[tokio::test]
async fn an_outbox_that_cannot_be_read_is_asked_until_it_works() {
    for error in [
        StoreError::Unavailable("database is locked".to_owned()),
        StoreError::Gone("it is damaged".to_owned()),
        StoreError::Message("page 7 cannot be read".to_owned()),
    ] {
        let broker = broker().await;
        let rig = Rig::start(vec![broker.address()], quick());
        rig.store.fail_to_read(Some(Fault::Error(error.clone())));
        rig.store.append(on("topic", "1"));
        until("several tries", || rig.store.failures() >= 4).await;
        let status = rig.status();
        assert_eq!(status.store_fault, Some(error.to_string()));
        assert!(status.connected && rig.uplink.is_alive(), "{status:?}");
        // What comes from memory goes out meanwhile.
        assert!(rig.uplink.direct(on("hit", "direct")));
        until("the direct one", || broker.seen().len() == 1).await;
        rig.store.fail_to_read(None);
        until("delivery", || rig.store.acked() == 1).await;
        until("a clean status", || rig.status().store_fault.is_none()).await;
        assert_eq!(broker.connections(), 1, "the connection stayed");
    }
}

#[tokio::test]
async fn what_is_acknowledged_while_the_outbox_is_away_is_recorded_later_and_not_sent_twice() {
    let broker = broker().await;
    let rig = Rig::start(vec![broker.address()], quick());
    rig.store.fail_to_write(Some(away()));
    for n in 0..20 {
        rig.store.append(on("topic", n.to_string()));
    }
    until("all are sent", || rig.status().acked == 20).await;
    until("a status that says so", || {
        rig.status().store_fault.is_some()
    })
    .await;
    assert_eq!(rig.store.acked(), 0);
    rig.store.fail_to_write(None);
    until("all are recorded", || rig.store.acked() == 20).await;
    until("a clean status", || rig.status().store_fault.is_none()).await;
    assert_eq!(broker.seen().len(), 20, "none twice");
}

#[tokio::test]
async fn an_outbox_that_hangs_holds_up_neither_pings_nor_messages_from_memory() {
    let broker = broker().await;
    let rig = Rig::start(vec![broker.address()], quick());
    rig.uplink.connected(LONG).await.unwrap();
    rig.store.fail_to_write(Some(Fault::Hang));
    rig.store.append(on("topic", "1"));
    until("it is sent", || rig.status().acked == 1).await;
    for n in 2..10 {
        assert!(rig.uplink.direct(on("hit", n.to_string())));
        until("the direct one", || rig.status().acked == n).await;
    }
}

#[tokio::test]
async fn a_panic_is_begun_again_and_shown() {
    let broker = broker().await;
    let rig = Rig::start(vec![broker.address()], quick());
    rig.store.fail_to_read(Some(Fault::Panic));
    rig.store.append(on("topic", "1"));
    until("several tries", || rig.store.failures() >= 3).await;
    let status = rig.uplink.status();
    until("a state that says so", || {
        matches!(&status.borrow().state, LinkState::Unreachable(why) if why.contains("the store's own fault"))
    })
    .await;
    assert!(rig.uplink.is_alive());
    rig.store.fail_to_read(None);
    until("delivery", || rig.store.acked() == 1).await;
    let ended = rig.uplink.finish(Drain::Everything, None, LONG).await;
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn an_end_with_an_outbox_that_cannot_be_read_names_it() {
    let broker = broker().await;
    let rig = Rig::start(vec![broker.address()], quick());
    rig.store.fail_to_read(Some(away()));
    rig.store.append(on("topic", "1"));
    until("a try", || rig.status().store_fault.is_some()).await;
    let within = std::time::Duration::from_millis(300);
    let ended = rig
        .uplink
        .finish(Drain::Everything, Some(on("status", "offline")), within)
        .await;
    let told = ended.unwrap_err().to_string();
    assert!(told.contains("database is locked"), "{told}");
    // The goodbye is said all the same.
    until("DISCONNECT", || broker.disconnects() == 1).await;
    let payloads: Vec<_> = broker.seen().into_iter().map(|s| s.payload).collect();
    assert_eq!(payloads, ["offline"]);
}
