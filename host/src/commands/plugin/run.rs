use std::ffi::OsString;

use crate::{
    commands,
    error::{Error, Kind, Result},
    job::Context,
    plugin::{Candidate, Grant, Grants, Source},
};

/// Run a command with a driver from a file, without installing it
///
/// For plugin authors: try a driver right after building it. Output options (-v, -q, --json) go before the `--`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLE)]
pub(in crate::commands) struct Arguments {
    /// A .wasm file, or a folder with one
    file: String,

    /// Name to run it under, instead of its own
    #[arg(long)]
    name: Option<String>,

    /// Allow the plugin to replace a shipped driver
    #[arg(long)]
    replace_shipped: bool,

    /// Grant this for the run; repeatable
    #[arg(long, value_name = "GRANT", value_delimiter = ',')]
    grant: Vec<Grant>,

    /// Command of alekseylearn to run
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

const EXAMPLE: &str = "\
Example:
  alekseylearn plugin run ./my_driver.wasm --grant docker -- fit train.py --train-driver my-driver";

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<()> {
    let source = Source::parse(&arguments.file, None)?;
    let candidate = Candidate::obtain(&source, arguments.name.as_deref(), None).await?;
    let name = &candidate.name;
    if candidate.takes_a_reserved_name() && !arguments.replace_shipped {
        return Err(Error::new(Kind::Denied, format!("{name} is the name of a shipped driver"))
            .hint(format!("add --name my-{name}, or --replace-shipped, before the `--`")));
    }
    let granted: Grants = arguments.grant.into_iter().collect();
    let never = context.plugins.never_granted()?;
    if let Some((grant, rule)) = granted.iter().find_map(|grant| Some((grant, never.rule(grant)?))) {
        return Err(never.refused(grant, rule));
    }
    context.plugins.lend(&candidate, granted).await?;
    let words = ["alekseylearn".into()].into_iter().chain(arguments.command).collect();
    let inner = commands::Arguments::read(words).map_err(|error| {
        commands::misspelled(&error)
            .hint("put a command of alekseylearn after `--`, such as `-- fit train.py`")
    })?;
    Box::pin(inner.command.run(context)).await
}
