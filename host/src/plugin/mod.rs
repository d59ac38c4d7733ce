//! Plugins: WASI components that drive builds and trainings. The only room that names wasmtime.
//!
//! A component holds no capability: [`authority`] decides every verb it asks for, `verbs` delegates what is allowed
//! to [`crate::capability`], and each call gets a store of its own with limits on memory and time.

mod authority;
mod bindings;
mod bundle;
mod candidate;
mod driver;
mod lock;
mod manifest;
mod plugins;
mod report;
mod run;
mod runtime;
mod services;
mod shipped;
mod source;
mod state;
mod store;
mod verbs;

pub use authority::Capability;
pub use bindings::alekseylearn::driver::types::LogPage;
pub use candidate::Candidate;
pub use driver::{BuildDriver, TrainDriver};
pub use lock::{LOCK_FILE, read as read_lock, write as write_lock};
pub use manifest::DriverKind;
pub use plugins::{Listed, Origin, Plugins};
pub use report::{Artifact, ArtifactKind, Destination, Finding, JobStatus, Place, State};
pub use run::{Job, Training};
pub use services::Services;
pub use source::Source;
pub use store::Installed;
