//! Writes the JSON Schema files of this crate: `cargo run -p kakou-contract --example write-schema`.

use std::path::Path;

use kakou_contract::schema;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for (name, schema) in schema::files() {
        std::fs::write(folder.join(&name), format!("{schema:#}\n"))?;
        println!("schema/{name}");
    }
    Ok(())
}
