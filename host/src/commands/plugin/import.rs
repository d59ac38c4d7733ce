use std::path::PathBuf;

use serde_json::json;

use super::consent::{consent, install, named, told};
use crate::{error::Result, job::Context, plugin::Grants};

/// Install the plugins of a file that `plugin export` made
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// The file
    file: PathBuf,

    /// Do not ask: they get what they were granted where the file was made
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let mut consented = Vec::new();
    for (candidate, exported) in context.plugins.import(&arguments.file)? {
        let spelled_out = if arguments.yes { exported.granted } else { Grants::default() };
        consented.push(consent(context, candidate, spelled_out, arguments.yes)?);
    }
    let installed = install(context, &consented).await?;
    let names: Vec<String> = installed.iter().map(named).collect();
    let data = json!({ "plugins": installed.iter().map(|plugin| told(context, plugin)).collect::<Vec<_>>() });
    context.ui.result(&format!("Installed {}.", names.join(", ")), data);
    Ok(())
}
