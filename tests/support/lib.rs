//! Support for the end-to-end tests: a user with an empty home, and the services.

mod door;
mod events;
mod handmade;
mod index;
mod podman;
mod registry;
mod relay;
mod rig;
mod run;
mod sandbox;
mod service;
mod services;
mod site;
mod terminal;
mod wheel;

use std::{io::Write, path::PathBuf};

pub use door::Door;
pub use handmade::Handmade;
pub use index::PackageIndex;
pub use podman::Podman;
pub use registry::{Repository, WASM_CONFIG, WASM_LAYER, manifest};
pub use relay::{Relay, engine_socket};
pub use rig::Rig;
pub use run::{Run, Running};
pub use sandbox::Sandbox;
pub use service::{Asked, Service};
pub use services::{Services, archive_text, python, says};
pub use site::Site;
pub use terminal::Terminal;
pub use wheel::wheel;

/// The root folder of the repository.
pub fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .canonicalize()
        .expect("the clone is where it was built")
}

/// How reasons begin for which a test may be skipped in CI: parts that not every machine can get. Any other test that
/// is skipped there fails.
const SKIPPED_IN_CI: [&str; 6] = [
    "there is no gcloud",
    "ALEKSEYLEARN_PODMAN is not set",
    "only root can run it",
    "ALEKSEYLEARN_CHROMIUM is not set",
    "ALEKSEYLEARN_SHELLS is not set",
    "ALEKSEYLEARN_SDK_PYTHON is not set",
];

/// Reports that a test cannot run here. Writes past the test runner's capture, so that it is visible, and to the list
/// that `cargo xtask test` prints at its end.
///
/// # Panics
/// In CI, unless the reason is on the list of known ones.
pub fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    let is_known = SKIPPED_IN_CI.iter().any(|known| why.starts_with(known));
    assert!(!in_ci || is_known, "{name} must not be skipped in CI: {why}");
    let line = format!("skipped: {name}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written to");
    if let Some(list) = std::env::var_os("ALEKSEYLEARN_SKIPPED") {
        let list = std::fs::OpenOptions::new().create(true).append(true).open(list);
        list.and_then(|mut list| list.write_all(line.as_bytes())).expect("the list can be written to");
    }
}

/// The image that tests build on, from `cargo xtask test`; `None` if it is not set.
pub fn base_image() -> Option<String> {
    std::env::var("ALEKSEYLEARN_BASE_IMAGE").ok().filter(|name| !name.is_empty())
}

/// The base image, or skips the test: without one, there is no Docker.
#[macro_export]
macro_rules! base_image_or_skip {
    () => {
        match $crate::base_image() {
            Some(image) => image,
            None => return $crate::skipped("ALEKSEYLEARN_BASE_IMAGE is not set: run `cargo xtask test`"),
        }
    };
}

/// The rig, or skips the test.
#[macro_export]
macro_rules! rig_or_skip {
    () => {
        match $crate::Rig::running() {
            Some(rig) => rig,
            None => return $crate::skipped("ALEKSEYLEARN_RIG is not set: run `cargo xtask test`"),
        }
    };
}

/// The folder with the plugins of `tests/guests`, from `cargo xtask test`; `None` if it is not set.
pub fn guests() -> Option<PathBuf> {
    std::env::var_os("ALEKSEYLEARN_GUESTS").map(PathBuf::from)
}

/// The folder of the tests' plugins, or skips the test.
#[macro_export]
macro_rules! guests_or_skip {
    () => {
        match $crate::guests() {
            Some(folder) => folder,
            None => return $crate::skipped("ALEKSEYLEARN_GUESTS is not set: run `cargo xtask test`"),
        }
    };
}
