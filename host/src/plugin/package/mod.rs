//! Plugins as files: where a component comes from, what it says of itself, who signed it, and which ones are installed.

pub(super) mod bundle;
pub(super) mod candidate;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
pub(super) mod identity;
pub(super) mod imported;
pub(super) mod known;
pub(super) mod lock;
pub(super) mod manifest;
pub(super) mod shipped;
pub(super) mod signature;
pub(super) mod source;
pub(super) mod store;
