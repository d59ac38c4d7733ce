use std::ffi::OsString;

use crate::{
    commands,
    error::Result,
    job::Context,
    plugin::{Candidate, Grant, Source},
};

/// Run a command with a driver straight from its file, without installing it
///
/// For authors: build, run, and look. Options of the output (-v, -q, --json) go before the `--`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub(in crate::commands) struct Arguments {
    /// A .wasm file, or a folder that holds one
    file: String,

    /// Grant this; may be given several times
    #[arg(long, value_name = "GRANT", value_delimiter = ',')]
    grant: Vec<Grant>,

    /// A command of alekseylearn
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

const EXAMPLE: &str = "\
Example:
  alekseylearn plugin run ./my_driver.wasm --grant docker -- fit train.py --train-driver my-driver";

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<()> {
    let candidate = Candidate::obtain(&Source::parse(&arguments.file, None)?, None, None).await?;
    context.plugins.lend(&candidate, arguments.grant.into_iter().collect()).await?;
    let words = ["alekseylearn".into()].into_iter().chain(arguments.command).collect();
    let inner = commands::Arguments::read(words).map_err(|error| {
        commands::misspelled(&error)
            .hint("after `--` comes a command of alekseylearn, such as `-- fit train.py`")
    })?;
    Box::pin(inner.command.run(context)).await
}
