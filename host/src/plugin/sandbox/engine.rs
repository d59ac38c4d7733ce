//! The settings of the engine, the same for the compiler and the runtime.

use wasmtime::{Config, Engine};

use crate::error::{Context, Result};

/// The engine that compiles and runs all components.
pub(crate) fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    Engine::new(&config).context(|| "cannot start the WebAssembly engine".into())
}
