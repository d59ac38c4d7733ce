//! Plugins: WASI components that drive builds and trainings. Only this module uses wasmtime.
//!
//! A component has no capabilities of its own: [`policy`] decides every verb that it calls, `host_calls` delegates
//! allowed ones to [`crate::capability`], and each call runs in a store of its own in [`sandbox`], with limits on memory
//! and time. [`package`] holds the files that plugins come in.

mod driver;
mod host_calls;
mod package;
mod plugins;
mod policy;
mod sandbox;
mod services;

pub use driver::{
    BuildDriver, Rehearsed, SecretWay, TrainDriver,
    plugin::Origin,
    report::{
        Archive, Artifact, ArtifactKind, Destination, Finding, Folder, JobState, JobStatus, Phase, Place,
    },
    repository::Repository,
    run::{Job, Training},
};
#[cfg(any(test, fuzzing))]
pub use package::fuzz::FUZZ;
pub use package::{
    candidate::Candidate,
    identity::{Change, Identity},
    known::{installed, known_drivers},
    lock::{LOCK_FILE, read as read_lock, write as write_lock},
    manifest::DriverKind,
    source::Source,
    store::Installed,
};
pub use plugins::{Consented, Listed, Plugins};
pub use policy::{
    audit::EXTENSION as AUDIT,
    authority::Used,
    grant::{Grant, Grants},
};
pub use sandbox::{
    bindings::alekseylearn::driver::types::LogPage,
    compiler::{COMPILE, serve as compile_component},
};
pub use services::Services;
