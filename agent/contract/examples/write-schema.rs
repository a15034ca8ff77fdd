//! Writes the JSON Schema files of this crate and the AsyncAPI document beside them:
//! `cargo run -p kakou-contract --example write-schema`.

use std::path::Path;

use kakou_contract::{asyncapi, schema};

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let document = (asyncapi::FILE.to_owned(), asyncapi::document());
    for (name, content) in schema::files().into_iter().chain([document]) {
        std::fs::write(folder.join(&name), format!("{content:#}\n"))?;
        println!("schema/{name}");
    }
    Ok(())
}
