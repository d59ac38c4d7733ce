use serde_json::Value;

use crate::{
    error::{Context as _, Result},
    job::Context,
};

/// Print the JSON Schema of what --json writes
///
/// Each line is one event; `data` of a `result` is what its command is for.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

/// Every event of every end-to-end test is held to it.
const SCHEMA: &str = include_str!("../ui/events.schema.json");

pub(super) fn run(context: &Context, _arguments: &Arguments) -> Result<()> {
    let schema: Value = serde_json::from_str(SCHEMA).context(|| "the schema is no JSON".into())?;
    context.ui.result(SCHEMA.trim(), schema);
    Ok(())
}
