//! Turns `--config.KEY=VALUE` and `alekseylearn.toml` into typed options, and checks them against the options that a driver
//! declares, before the driver runs.

mod arguments;
mod aws;
mod defaults;
mod driver_name;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod location;
mod schema;
mod secrets;
mod trust;
mod values;

pub use arguments::{Assignment, FLAG, Origin, spell_out};
pub use aws::{AwsSetting, AwsSettings};
pub use defaults::Defaults;
pub use driver_name::{NO_IMAGE, driver_name, without_image};
#[cfg(any(test, fuzzing))]
pub use fuzz::FUZZ;
pub use location::{Location, S3, is_scheme};
pub use schema::{OptionSpec, OptionType, check_specs};
pub use secrets::{AskedSecrets, Mask, SecretValues, Shown, is_secret_option, mask_request};
pub use trust::{Trust, TrustedFolder};
pub use values::{Chosen, Designated, Designation, Value, Values, validate};
