//! Runs a component with nothing but what the contract gives it: compiler, runtime, and the limits of each call.

pub(super) mod bindings;
mod compiled;
pub(super) mod compiler;
mod confined;
mod engine;
pub(super) mod job_folder;
pub(super) mod limits;
pub(super) mod runtime;
pub(super) mod state;
pub(super) mod stderr_tail;
pub(super) mod time_budget;
