use std::path::PathBuf;

use serde_json::json;

use super::consent::{Answers, Offer, consent, done, install, told};
use crate::{error::Result, job::Context, plugin::Grants, shell::command};

/// Install plugins from a file of `plugin export`
///
/// Asks again for the grants that the file lists: a file grants nothing.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// File to import
    file: PathBuf,

    #[command(flatten)]
    answers: Answers,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let mut consented = Vec::new();
    for (candidate, exported) in context.plugins.import(&arguments.file)? {
        let offer = Offer {
            proposed: Some(exported.granted),
            from_its_source: false,
            by: Some(command(["alekseylearn", "plugin", "import", &arguments.file.display().to_string()])),
            ..Offer::of(candidate, Grants::default())
        };
        consented.push(consent(context, offer, arguments.answers)?);
    }
    let installed = install(context, &consented).await?;
    let data = json!({ "plugins": installed.iter().map(|plugin| told(context, plugin)).collect::<Vec<_>>() });
    context.ui.result(&done(&installed, &consented), data);
    Ok(())
}
