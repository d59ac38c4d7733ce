use serde_json::Value;

use crate::{
    error::{Context as _, Result},
    job::Context,
};

/// Print the JSON Schema of the --json output
///
/// Each line is one event. The `data` of a `result` depends on the command.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

/// The end-to-end tests validate every event against it.
const SCHEMA: &str = include_str!("../ui/events.schema.json");

pub(super) fn run(context: &Context, _arguments: &Arguments) -> Result<()> {
    let schema: Value = serde_json::from_str(SCHEMA).context(|| "the schema is not valid JSON".into())?;
    context.ui.result(SCHEMA.trim(), schema);
    Ok(())
}
