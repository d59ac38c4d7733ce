//! Jobs, the same on every service.

mod inputs;
mod kills;
mod lingering;
pub(crate) mod lives;
mod outputs;
