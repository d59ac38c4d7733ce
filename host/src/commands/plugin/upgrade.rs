use serde_json::json;

use super::consent::{Answers, Offer, consent, install, obtain, told};
use crate::{commands::completions, error::Result, job::Context, plugin::Grants, ui};

/// Upgrade plugins from their sources
///
/// Asks again if a plugin wants more than it was granted. An older version, a missing signature or another signer is an
/// error unless its flag is given.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// Name of an installed plugin
    #[arg(required_unless_present = "all", add = completions::plugins())]
    name: Option<String>,

    /// Upgrade all plugins
    #[arg(long, conflicts_with = "name")]
    all: bool,

    #[command(flatten)]
    answers: Answers,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let store = context.plugins.store();
    let plugins = match &arguments.name {
        Some(name) => vec![store.expect(name)?],
        None => store.list()?,
    };
    let mut lines = Vec::new();
    let mut data = Vec::new();
    for before in plugins {
        let candidate = obtain(context, &before.source, Some(&before.name), None).await?;
        if candidate.digest() == before.digest {
            lines.push(format!("{} is up to date.", before.named()));
            data.push(told(context, &before));
            continue;
        }
        let consented = consent(context, Offer::of(candidate, Grants::default()), arguments.answers)?;
        for after in install(context, &[consented]).await? {
            lines.push(format!("Upgraded {} to {}.", before.named(), after.named()));
            data.push(told(context, &after));
        }
    }
    context.ui.result(&ui::lines(lines), json!({ "plugins": data }));
    Ok(())
}
