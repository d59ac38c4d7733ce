use std::{collections::BTreeSet, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    error::{Error, Kind, Result},
    job::Context,
    plugin::{Candidate, Capability, Installed},
    ui::table,
};

/// Install, inspect and remove plugins
///
/// A plugin is one WebAssembly component with drivers. It gets nothing but what it is granted.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    Install(Install),
    /// List the installed plugins
    List,
    /// Show what a plugin is, and what it may do
    Show {
        /// An installed plugin, or a .wasm file
        plugin: String,
    },
    /// Grant a plugin more
    Grant(Change),
    /// Take grants back
    Revoke(Change),
    /// Check that the installed plugins are what was installed
    Verify,
    /// Remove a plugin
    Uninstall {
        /// Its name
        name: String,
    },
}

/// Install a plugin
///
/// Shows what it could do at worst, and asks once. Installed over one of its name it keeps that one's grants, and asks
/// only where it wants more.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Install {
    /// A .wasm file, or a folder that holds one
    source: PathBuf,

    /// Call it this, instead of what it calls itself
    #[arg(long)]
    name: Option<String>,

    /// Grant this without being asked; may be given several times
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    grant: Vec<Capability>,

    /// Do not ask: it gets what --grant says, and no more
    #[arg(short, long)]
    yes: bool,
}

const EXAMPLES: &str = "\
Examples:
  See what a plugin is before it is installed:
    alekseylearn plugin show ./my-driver.wasm

  Install it, and answer for its grants:
    alekseylearn plugin install ./my-driver.wasm

  The same in a script:
    alekseylearn plugin install ./my-driver.wasm --yes --grant docker";

/// A plugin, and capabilities
#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// An installed plugin
    name: String,

    /// Such as docker; `alekseylearn plugin show NAME` lists what it wants
    #[arg(required = true)]
    capabilities: Vec<Capability>,
}

pub(super) fn run(context: &Context, arguments: Arguments) -> Result<()> {
    match arguments {
        Arguments::Install(install) => self::install(context, &install),
        Arguments::List => list(context),
        Arguments::Show { plugin } => show(context, &plugin),
        Arguments::Grant(change) => {
            grants(context, &change, |granted, more| granted.union(more).copied().collect())
        }
        Arguments::Revoke(change) => {
            grants(context, &change, |granted, less| granted.difference(less).copied().collect())
        }
        Arguments::Verify => verify(context),
        Arguments::Uninstall { name } => {
            context.plugins.store().uninstall(&name)?;
            context.ui.result(&format!("The plugin {name} is gone."), json!({ "uninstalled": name }));
            Ok(())
        }
    }
}

fn install(context: &Context, arguments: &Install) -> Result<()> {
    let candidate = context.plugins.candidate(&arguments.source, arguments.name.as_deref())?;
    let before = context.plugins.store().get(&candidate.name)?;
    let wanted = &candidate.manifest.wants;
    let mut granted: BTreeSet<Capability> = arguments.grant.iter().copied().collect();
    granted.extend(before.iter().flat_map(|before| &before.granted).copied());
    granted.retain(|capability| wanted.contains(capability));
    let asked: BTreeSet<Capability> = wanted.difference(&granted).copied().collect();
    if !asked.is_empty() {
        let question = format!("{}\n\nInstall it, and let it?", described(&candidate, &asked));
        if arguments.yes {
            let allow = names(&asked).replace(',', "");
            let name = &candidate.name;
            context.ui.warning(&format!(
                "{name} also wants {}: `alekseylearn plugin grant {name} {allow}` allows it",
                names(&asked)
            ));
        } else if context.ui.ask(&question)? {
            granted.extend(&asked);
        } else {
            return Err(not_granted(arguments, &candidate, &asked));
        }
    }
    context.ui.stage(&format!("Compiling {}", candidate.name));
    let installed = context.plugins.install(&candidate, granted)?;
    let verb = if before.is_some() { "Replaced" } else { "Installed" };
    let text = format!("{verb} {}. Its drivers: alekseylearn driver list", named(&installed));
    context.ui.result(&text, told(&installed));
    Ok(())
}

fn not_granted(arguments: &Install, candidate: &Candidate, asked: &BTreeSet<Capability>) -> Error {
    let wanted: Vec<&str> =
        candidate.manifest.wants.iter().map(|capability| capability.interface()).collect();
    Error::new(Kind::Denied, format!("{} wants {}, which it was not granted", candidate.name, names(asked)))
        .details(described(candidate, asked))
        .hint(format!(
            "nothing was installed; to grant it: `alekseylearn plugin install {} --yes --grant {}`",
            arguments.source.display(),
            wanted.join(",")
        ))
}

/// What it could do at worst, in plain words.
fn described(candidate: &Candidate, asked: &BTreeSet<Capability>) -> String {
    let mut lines = vec![format!("The plugin {} could then, at worst,", candidate.name)];
    lines.extend(asked.iter().map(|capability| format!("  - {} ({capability})", capability.at_worst())));
    lines.join("\n")
}

fn list(context: &Context) -> Result<()> {
    let plugins = context.plugins.store().list()?;
    let rows: Vec<[String; 4]> = plugins
        .iter()
        .map(|plugin| {
            let version = plugin.version.clone().unwrap_or_else(|| "-".into());
            [plugin.name.clone(), version, names(&plugin.granted), plugin.source.clone()]
        })
        .collect();
    let text = match rows.is_empty() {
        true => {
            "no plugins are installed; those that ship with the program are there: alekseylearn driver list"
                .into()
        }
        false => table(["NAME", "VERSION", "GRANTED", "FROM"], &rows),
    };
    context.ui.result(&text, json!({ "plugins": plugins.iter().map(told).collect::<Vec<_>>() }));
    Ok(())
}

fn show(context: &Context, plugin: &str) -> Result<()> {
    let path = PathBuf::from(plugin);
    let installed = context.plugins.store().get(plugin)?;
    let candidate = match &installed {
        Some(installed) => context.plugins.installed(installed)?,
        None if path.exists() => context.plugins.candidate(&path, None)?,
        None => context
            .plugins
            .store()
            .expect(plugin)
            .and_then(|installed| context.plugins.installed(&installed))?,
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

fn grants(
    context: &Context,
    change: &Change,
    change_to: impl Fn(&BTreeSet<Capability>, &BTreeSet<Capability>) -> BTreeSet<Capability>,
) -> Result<()> {
    let store = context.plugins.store();
    let named: BTreeSet<Capability> = change.capabilities.iter().copied().collect();
    let granted = change_to(&store.expect(&change.name)?.granted, &named);
    store.grant(&change.name, granted.clone())?;
    let text = match granted.is_empty() {
        true => format!("The plugin {} may do nothing now.", change.name),
        false => format!("The plugin {} may now use {}.", change.name, names(&granted)),
    };
    context.ui.result(&text, json!({ "name": change.name, "granted": granted }));
    Ok(())
}

fn verify(context: &Context) -> Result<()> {
    let plugins = context.plugins.store().list()?;
    for plugin in &plugins {
        context.plugins.installed(plugin)?;
    }
    let text = format!("{} installed plugins are what was installed.", plugins.len());
    context.ui.result(&text, json!({ "verified": plugins.iter().map(told).collect::<Vec<_>>() }));
    Ok(())
}

fn named(plugin: &Installed) -> String {
    match &plugin.version {
        Some(version) => format!("{} {version}", plugin.name),
        None => plugin.name.clone(),
    }
}

fn names(granted: &BTreeSet<Capability>) -> String {
    let list: Vec<&str> = granted.iter().map(|capability| capability.interface()).collect();
    if list.is_empty() { "-".to_owned() } else { list.join(", ") }
}

fn told(plugin: &Installed) -> Value {
    json!(plugin)
}
