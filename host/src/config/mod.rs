//! `--config.KEY=VALUE` into typed options, checked against what a driver declares before any of its code runs.

mod arguments;
mod location;
mod schema;
mod values;

pub use arguments::{Assignment, spell_out};
pub use location::S3Location;
pub use schema::{OptionSpec, OptionType};
pub use values::{Value, Values, validate};
