//! Puts the project's drivers into the program, the `*.wasm` files that `cargo xtask plugins` made: the shipped ones, and
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
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    for (file, variable) in
        [("shipped.rs", "ALEKSEYLEARN_SHIPPED_PLUGINS"), ("bundled.rs", "ALEKSEYLEARN_INSTALLABLE_PLUGINS")]
    {
        fs::write(Path::new(&out).join(file), list(&components(variable)))
            .expect("OUT_DIR can be written to");
    }
}

/// A list of components as Rust.
fn list(components: &[PathBuf]) -> String {
    let mut list = String::from("&[\n");
    for path in components {
        let name = path.file_stem().unwrap_or_default();
        // At start-up every millisecond counts.
        let digest = digest(path);
        writeln!(
            list,
            "    Inside {{ name: {name:?}, digest: {digest:?}, wasm: include_bytes!({path:?}) }},"
        )
        .expect("writing to a string");
    }
    list.push(']');
    list
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
