//! Declares an option twice.

use alekseylearn_sdk::{Error, OptionSpec, Training, build, docker};

struct Driver;

alekseylearn_sdk::plugin!(build = Driver);

impl build::Guest for Driver {
    fn options() -> Vec<OptionSpec> {
        vec![OptionSpec::text("mode", "One mode"), OptionSpec::integer("mode", "Another mode")]
    }

    fn build(_: &Training) -> Result<docker::Image, Error> {
        Err(Error::unsupported("nothing is built"))
    }
}
