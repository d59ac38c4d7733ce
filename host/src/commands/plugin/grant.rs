use std::collections::BTreeSet;

use serde_json::json;

use super::consent::names;
use crate::{error::Result, job::Context, plugin::Capability};

/// A plugin, and capabilities
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// An installed plugin
    name: String,

    /// Such as docker; `alekseylearn plugin show NAME` lists what it wants
    #[arg(required = true)]
    capabilities: Vec<Capability>,
}

/// Grants more.
pub(super) fn grant(context: &Context, arguments: &Arguments) -> Result<()> {
    change(context, arguments, |granted, more| granted.union(more).copied().collect())
}

/// Takes grants back.
pub(super) fn revoke(context: &Context, arguments: &Arguments) -> Result<()> {
    change(context, arguments, |granted, less| granted.difference(less).copied().collect())
}

fn change(
    context: &Context,
    arguments: &Arguments,
    change_to: impl Fn(&BTreeSet<Capability>, &BTreeSet<Capability>) -> BTreeSet<Capability>,
) -> Result<()> {
    let store = context.plugins.store();
    let named: BTreeSet<Capability> = arguments.capabilities.iter().copied().collect();
    let granted = change_to(&store.expect(&arguments.name)?.granted, &named);
    store.grant(&arguments.name, granted.clone())?;
    let text = match granted.is_empty() {
        true => format!("The plugin {} may do nothing now.", arguments.name),
        false => format!("The plugin {} may now use {}.", arguments.name, names(&granted)),
    };
    context.ui.result(&text, json!({ "name": arguments.name, "granted": granted }));
    Ok(())
}
