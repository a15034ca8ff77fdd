//! Writes the JSON Schema files of this crate: `cargo run -p kakou-contract --example write-schema`.

use std::path::Path;

use kakou_contract::{MessageKind, schema};

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for kind in MessageKind::ALL {
        if let (Some(name), Some(text)) = (schema::file_name(kind), schema::text(kind)) {
            std::fs::write(folder.join(&name), text)?;
            println!("schema/{name}");
        }
    }
    Ok(())
}
