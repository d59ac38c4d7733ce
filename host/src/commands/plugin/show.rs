use std::path::Path;

use serde_json::json;

use crate::{
    error::{Error, Kind, Result},
    job::Context,
    plugin::{Candidate, Source},
};

/// Show what a plugin is, and what it may do
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// An installed plugin, a .wasm file, or an https:// address
    plugin: String,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let plugin = &arguments.plugin;
    let installed = context.plugins.store().get(plugin)?;
    let candidate = match &installed {
        Some(installed) => context.plugins.installed(installed)?,
        None if Path::new(plugin).exists() || plugin.contains("://") => {
            Candidate::obtain(&Source::parse(plugin, None)?, None).await?
        }
        None => {
            return Err(Error::new(Kind::NotFound, format!("no plugin and no file `{plugin}`"))
                .hint("`alekseylearn plugin list` lists the installed ones"));
        }
    };
    let manifest = &candidate.manifest;
    let kinds: Vec<&str> = manifest.kinds.iter().map(|kind| kind.name()).collect();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let version = manifest.version.as_ref().map(ToString::to_string);
    let mut lines = vec![
        format!("{} {}", candidate.name, version.clone().unwrap_or_default()).trim_end().to_owned(),
        format!("  what:      {}", text(&manifest.description)),
        format!("  drivers:   {}", kinds.join(", ")),
        format!("  authors:   {}", text(&manifest.authors)),
        format!("  licence:   {}", text(&manifest.licence)),
        format!("  source:    {}", text(&manifest.source)),
        format!("  contract:  {}", manifest.contract),
        format!("  digest:    {}", candidate.digest()),
        format!("  from:      {}", candidate.source),
    ];
    let granted = installed.as_ref().map(|installed| &installed.granted);
    for capability in &manifest.wants {
        let state = match granted {
            Some(granted) if granted.contains(capability) => "granted",
            _ => "wanted",
        };
        lines.push(format!("  {state}:   {capability}: {}", capability.at_worst()));
    }
    context.ui.result(
        &lines.join("\n"),
        json!({
            "name": candidate.name,
            "version": version,
            "description": manifest.description,
            "drivers": kinds,
            "authors": manifest.authors,
            "licence": manifest.licence,
            "source": manifest.source,
            "contract": manifest.contract.to_string(),
            "digest": candidate.digest(),
            "from": candidate.source,
            "wants": manifest.wants,
            "granted": granted,
        }),
    );
    Ok(())
}
