//! The HTTP interface against a real PostgreSQL: who may ask what, what is recorded, what is seen, and
//! whether the answers are right on small worlds whose answer is known.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod access;
mod commands;
mod live;
mod plans;
pub mod rig;
mod rights;
mod rough;
mod searches;
mod worlds;

use kakou_central::api::openapi;

/// The description that is committed is the one of this program.
#[test]
fn the_description_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let now = serde_json::to_string_pretty(&openapi()).unwrap() + "\n";
    if std::env::var_os("KAKOU_WRITE_OPENAPI").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == now,
        "openapi.json is old: KAKOU_WRITE_OPENAPI=1 cargo test -p kakou-central --test whole the_description"
    );
}
