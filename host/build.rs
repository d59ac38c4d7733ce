//! Puts the shipped drivers into the program: the `*.wasm` files that `cargo xtask plugins` made.

use std::{env, fmt::Write, fs, path::Path};

use sha2::{Digest, Sha256};

fn main() {
    println!("cargo::rerun-if-env-changed=ALEKSEYLEARN_SHIPPED_PLUGINS");
    let mut shipped = Vec::new();
    if let Some(folder) = env::var_os("ALEKSEYLEARN_SHIPPED_PLUGINS") {
        println!("cargo::rerun-if-changed={}", Path::new(&folder).display());
        // A missing folder is a program without drivers, which says so when one is asked for.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                println!("cargo::rerun-if-changed={}", path.display());
                shipped.push(path);
            }
        }
    }
    shipped.sort();
    let mut list = String::from("&[\n");
    for path in &shipped {
        let name = path.file_stem().unwrap_or_default();
        let wasm = fs::read(path).expect("the drivers can be read");
        // At start-up every millisecond counts.
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&wasm)));
        writeln!(
            list,
            "    Shipped {{ name: {name:?}, digest: {digest:?}, wasm: include_bytes!({path:?}) }},"
        )
        .expect("writing to a string");
    }
    list.push(']');
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("shipped.rs"), list).expect("OUT_DIR can be written to");
}
