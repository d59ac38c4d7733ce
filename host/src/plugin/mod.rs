//! Plugins: WASI components that drive builds and trainings. Only this module uses wasmtime.
//!
//! A component has no capabilities of its own: [`authority`] decides every verb that it calls, `host_calls` delegates
//! allowed ones to [`crate::capability`], and each call runs in its own store with limits on memory and time.

mod address;
mod audit;
mod authority;
mod bindings;
mod bundle;
mod candidate;
mod compiled;
mod compiler;
mod confined;
mod driver;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod grant;
mod host_calls;
mod identity;
mod imported;
mod job_folder;
mod known;
mod limits;
mod lock;
mod manifest;
mod never;
mod origin;
mod pattern;
mod plugins;
mod report;
mod repository;
mod run;
mod runtime;
mod services;
mod shipped;
mod signature;
mod source;
mod state;
mod stderr_tail;
mod store;
mod time_budget;
mod verb;

pub use audit::EXTENSION as AUDIT;
pub use authority::Used;
pub use bindings::alekseylearn::driver::types::LogPage;
pub use candidate::Candidate;
pub use compiler::{COMPILE, serve as compile_component};
pub use driver::{BuildDriver, Rehearsed, SecretWay, TrainDriver};
#[cfg(any(test, fuzzing))]
pub use fuzz::FUZZ;
pub use grant::{Grant, Grants};
pub use identity::{Change, Identity};
pub use known::{installed, known_drivers};
pub use lock::{LOCK_FILE, read as read_lock, write as write_lock};
pub use manifest::DriverKind;
pub use plugins::{Consented, Listed, Origin, Plugins};
pub use report::{
    Archive, Artifact, ArtifactKind, Destination, Finding, Folder, JobStatus, Phase, Place, State,
};
pub use repository::Repository;
pub use run::{Job, Training};
pub use services::Services;
pub use source::Source;
pub use store::Installed;
