//! The pages are embedded as they lie in `web/dist`; `make panel` builds them.

fn main() {
    println!("cargo:rerun-if-changed=web/dist");
    println!("cargo:rerun-if-changed=build.rs");
}
