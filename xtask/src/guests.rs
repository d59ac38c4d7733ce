//! Builds plugins for the end-to-end tests to `target/guests/NAME.wasm`: the misbehaving ones of `tests/guests`, and the
//! examples for authors, in Rust and Python.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::plugins::{install, remove_others};
use crate::process::run;
use crate::python_guests::PYTHON_GUESTS;
use crate::wasm_target::{self, TARGET};
use crate::workspace::{cargo, root, target};

/// The package of `examples/rust-driver`, and cargo's name for its component.
const EXAMPLE: (&str, &str) = ("local-rust", "local_rust.wasm");

/// Builds the plugins, and returns their folder.
pub fn build() -> Result<PathBuf> {
    wasm_target::ensure()?;
    run(&mut cargo(&["build", "--release", "--target", TARGET, "--package", "guests", "--examples"])?)?;
    let (example, built) = EXAMPLE;
    run(&mut cargo(&["build", "--release", "--target", TARGET, "--package", example])?)?;
    let folder = root().join("target/guests");
    fs::create_dir_all(&folder)?;
    let mut components = vec![OsString::from(format!("{example}.wasm"))];
    install(&target()?.join(TARGET).join("release").join(built), &folder.join(&components[0]))?;
    for source in fs::read_dir(root().join("tests/guests/examples"))? {
        let component = source?.path().with_extension("wasm");
        let Some(name) = component.file_name() else { continue };
        install(&target()?.join(TARGET).join("release/examples").join(name), &folder.join(name))?;
        components.push(name.to_owned());
    }
    for guest in &PYTHON_GUESTS {
        install(&guest.build()?, &folder.join(guest.file()))?;
        components.push(guest.file().into());
    }
    remove_others(&folder, &components)?;
    Ok(folder)
}
