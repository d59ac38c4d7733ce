use serde_json::json;

use super::consent::{Answers, Offer, consent, install, obtain, told};
use crate::{commands::completions, error::Result, job::Context, plugin::Grants, ui};

/// Get newer versions of plugins from where they came from
///
/// One that wants more than it was granted asks again. An older version, a lost signature or another signer is an error
/// without its flag.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// An installed plugin
    #[arg(required_unless_present = "all", add = completions::plugins())]
    name: Option<String>,

    /// All of them
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
            lines.push(format!("{} became {}.", before.named(), after.named()));
            data.push(told(context, &after));
        }
    }
    context.ui.result(&ui::lines(lines), json!({ "plugins": data }));
    Ok(())
}
