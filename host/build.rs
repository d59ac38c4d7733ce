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
    for (file, variable, packaged) in [
        ("shipped.rs", "ALEKSEYLEARN_SHIPPED_PLUGINS", "drivers/shipped"),
        ("bundled.rs", "ALEKSEYLEARN_INSTALLABLE_PLUGINS", "drivers/installable"),
    ] {
        fs::write(Path::new(&out).join(file), list(&components(variable, packaged)))
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

/// The components in the folder that a variable names: in a clone, .cargo/config.toml sets it. Without it, those that
/// travel in the published crate.
fn components(variable: &str, packaged: &str) -> Vec<PathBuf> {
    println!("cargo::rerun-if-env-changed={variable}");
    let own = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let folder = match env::var_os(variable).filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&own).join(packaged),
    };
    println!("cargo::rerun-if-changed={}", folder.display());
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
