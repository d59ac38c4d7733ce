//! `alekseylearn plugin …`: one file for each subcommand with arguments.

mod audit;
mod consent;
mod grant;
mod import;
mod install;
mod run;
mod show;
mod upgrade;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    commands::completions,
    error::Result,
    job::Context,
    plugin::{self, LOCK_FILE},
};
use consent::told;

/// Install, inspect and remove plugins
///
/// A plugin is one WebAssembly component with drivers. It can use only what it is granted.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    Install(install::Arguments),
    Upgrade(upgrade::Arguments),
    /// List installed plugins
    List,
    Show(show::Arguments),
    Audit(audit::Arguments),
    /// Add grants to a plugin
    Grant(grant::Arguments),
    /// Revoke grants of a plugin
    Revoke(grant::Arguments),
    /// Verify the digests and signatures of installed plugins
    Verify,
    /// Write the installed plugins to alekseylearn.lock, for a team to commit
    Lock,
    /// Write the installed plugins to one file, for a machine without a network
    Export {
        /// File to write
        file: PathBuf,
    },
    Import(import::Arguments),
    Run(run::Arguments),
    /// Remove a plugin
    Uninstall {
        /// Name of the plugin
        #[arg(add = completions::plugins())]
        name: String,
    },
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<()> {
    match arguments {
        Arguments::Install(arguments) => install::run(context, &arguments).await,
        Arguments::Upgrade(arguments) => upgrade::run(context, &arguments).await,
        Arguments::List => list(context),
        Arguments::Show(arguments) => show::run(context, &arguments).await,
        Arguments::Audit(arguments) => audit::run(context, &arguments),
        Arguments::Grant(arguments) => grant::grant(context, &arguments),
        Arguments::Revoke(arguments) => grant::revoke(context, &arguments),
        Arguments::Verify => verify(context),
        Arguments::Lock => lock(context),
        Arguments::Export { file } => export(context, &file),
        Arguments::Import(arguments) => import::run(context, &arguments).await,
        Arguments::Run(arguments) => run::run(context, arguments).await,
        Arguments::Uninstall { name } => uninstall(context, &name),
    }
}

fn list(context: &Context) -> Result<()> {
    let plugins = context.plugins.store().list()?;
    let told: Vec<Value> = plugins.iter().map(|plugin| told(context, plugin)).collect();
    let rows: Vec<[String; 5]> = plugins
        .iter()
        .zip(&told)
        .map(|(plugin, told)| {
            let version = plugin.version.clone().unwrap_or_else(|| "-".into());
            let signed = told["signature"].as_str().unwrap_or_default().to_owned();
            [plugin.name.clone(), version, signed, plugin.granted.to_string(), plugin.source.to_string()]
        })
        .collect();
    let text = if rows.is_empty() {
        "no plugins installed; `alekseylearn driver list` lists the shipped drivers".into()
    } else {
        context.ui.table(["NAME", "VERSION", "SIGNED", "GRANTED", "FROM"], &rows)
    };
    context.ui.result(&text, json!({ "plugins": told }));
    Ok(())
}

fn verify(context: &Context) -> Result<()> {
    let plugins = context.plugins.store().list()?;
    for plugin in &plugins {
        if let Some(plugin) = context.plugins.installed(&plugin.name)? {
            context.plugins.signed(&plugin)?;
        }
    }
    let text = match plugins.len() {
        0 => "No plugins are installed.".to_owned(),
        1 => "The installed plugin is intact.".to_owned(),
        count => format!("All {count} installed plugins are intact."),
    };
    context.ui.result(
        &text,
        json!({ "verified": plugins.iter().map(|plugin| told(context, plugin)).collect::<Vec<_>>() }),
    );
    Ok(())
}

fn lock(context: &Context) -> Result<()> {
    let plugins = context.plugins.store().list()?;
    let count = plugins.len();
    plugin::write_lock(&context.environment.current, plugins)?;
    context.ui.result(&format!("{LOCK_FILE} lists {}.", counted(count)), json!({ "locked": count }));
    Ok(())
}

fn export(context: &Context, file: &Path) -> Result<()> {
    let count = context.plugins.export(file)?;
    context
        .ui
        .result(&format!("{} contains {}.", file.display(), counted(count)), json!({ "exported": count }));
    Ok(())
}

fn counted(plugins: usize) -> String {
    format!("{plugins} plugin{}", if plugins == 1 { "" } else { "s" })
}

fn uninstall(context: &Context, name: &str) -> Result<()> {
    context.plugins.uninstall(name)?;
    context.ui.result(&format!("Uninstalled {name}."), json!({ "uninstalled": name }));
    Ok(())
}
