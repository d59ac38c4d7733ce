//! Puts the shipped drivers into the program, the `*.wasm` files that `cargo xtask plugins` made, and the digests of
//! those that a user installs.

#![expect(clippy::disallowed_methods, reason = "the room that opens files is in the program")]

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

fn main() {
    let mut list = String::from("&[\n");
    for path in components("ALEKSEYLEARN_SHIPPED_PLUGINS") {
        let name = path.file_stem().unwrap_or_default();
        // At start-up every millisecond counts.
        let digest = digest(&path);
        writeln!(
            list,
            "    Shipped {{ name: {name:?}, digest: {digest:?}, wasm: include_bytes!({path:?}) }},"
        )
        .expect("writing to a string");
    }
    list.push(']');
    let released: Vec<String> =
        components("ALEKSEYLEARN_INSTALLABLE_PLUGINS").iter().map(|path| digest(path)).collect();
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    for (file, text) in [("shipped.rs", list), ("released.rs", format!("&{released:?}"))] {
        fs::write(Path::new(&out).join(file), text).expect("OUT_DIR can be written to");
    }
}

/// The components in the folder that a variable names.
fn components(variable: &str) -> Vec<PathBuf> {
    println!("cargo::rerun-if-env-changed={variable}");
    let Some(folder) = env::var_os(variable) else { return Vec::new() };
    println!("cargo::rerun-if-changed={}", Path::new(&folder).display());
    // A missing folder is a program without drivers, which says so when one is asked for.
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut components: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).collect();
    for path in &components {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    components.sort();
    components
}

/// `sha256:…`
fn digest(path: &Path) -> String {
    let wasm = fs::read(path).expect("the drivers can be read");
    format!("sha256:{}", hex::encode(Sha256::digest(wasm)))
}
