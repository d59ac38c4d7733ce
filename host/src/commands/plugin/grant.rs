use serde_json::json;

use crate::{
    commands::completions,
    error::Result,
    job::Context,
    plugin::{Grant, Grants},
};

/// A plugin and grants
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::commands) struct Arguments {
    /// Name of an installed plugin
    #[arg(add = completions::plugins())]
    name: String,

    /// A capability such as docker, or an origin; `alekseylearn plugin show NAME` lists what it wants
    #[arg(required = true, value_name = "GRANT")]
    grants: Vec<Grant>,
}

const EXAMPLES: &str = "\
Grants:
  docker                              a capability of alekseylearn
  https://api.example.com             requests to that host and port
  https://api.example.com=env:TOKEN   the same, with the token of an environment variable, which the plugin never
                                      sees; or =file:/PATH, =file:~/PATH
  private:https://mlflow.example.com  the same, even if that name leads into your own network
  http://127.0.0.1:8080               a program on this machine";

/// Adds grants.
pub(super) fn grant(context: &Context, arguments: &Arguments) -> Result<()> {
    let never = context.plugins.never_granted()?;
    if let Some((grant, rule)) = arguments.grants.iter().find_map(|grant| Some((grant, never.rule(grant)?))) {
        return Err(never.refused(grant, rule));
    }
    change(context, arguments, Grants::add)
}

/// Revokes grants.
pub(super) fn revoke(context: &Context, arguments: &Arguments) -> Result<()> {
    change(context, arguments, |granted, less| granted.remove(&less))
}

fn change(context: &Context, arguments: &Arguments, change: impl Fn(&mut Grants, Grant)) -> Result<()> {
    let granted = context.plugins.store().regrant(&arguments.name, |granted| {
        arguments.grants.iter().for_each(|named| change(granted, named.clone()));
    })?;
    let text = if granted.is_empty() {
        format!("The plugin {} has no grants now.", arguments.name)
    } else {
        format!("The plugin {} may now use {granted}.", arguments.name)
    };
    context.ui.result(&text, json!({ "name": arguments.name, "granted": granted }));
    Ok(())
}
