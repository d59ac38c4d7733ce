use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use crate::{
    error::{Error, Kind, Result},
    job::Context,
    plugin::{self, Candidate, Capability, Installed, LOCK_FILE, Source},
    ui::table,
};

/// Install, inspect and remove plugins
///
/// A plugin is one WebAssembly component with drivers. It gets nothing but what it is granted.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    Install(Install),
    Upgrade(Upgrade),
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
    /// Write the installed plugins to alekseylearn.lock, for a team to commit
    Lock,
    /// Remove a plugin
    Uninstall {
        /// Its name
        name: String,
    },
}

/// Install a plugin
///
/// Shows what it could do at worst, and asks once. Installed over one of its name it keeps that one's grants, and asks
/// only where it wants more. Nothing of it runs before that.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Install {
    /// A .wasm file, a folder that holds one, an https:// address, or with --index a NAME or NAME@VERSION
    #[arg(required_unless_present = "locked")]
    source: Option<String>,

    /// An index's file or address: the newest version that this program can run is taken
    #[arg(long, value_name = "INDEX", requires = "source")]
    index: Option<String>,

    /// Install what the alekseylearn.lock of the current folder says, and nothing else
    #[arg(long, conflicts_with_all = ["source", "name", "grant"])]
    locked: bool,

    /// Refuse anything but the component with this digest
    #[arg(long, value_name = "sha256:…", requires = "source")]
    digest: Option<String>,

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
    alekseylearn plugin install ./my-driver.wasm --yes --grant docker

  What a team agreed on:
    alekseylearn plugin lock
    alekseylearn plugin install --locked";

/// Get newer versions of plugins from where they came from
///
/// One that wants more than it was granted asks again.
#[derive(Debug, clap::Args)]
pub(super) struct Upgrade {
    /// An installed plugin
    #[arg(required_unless_present = "all")]
    name: Option<String>,

    /// All of them
    #[arg(long, conflicts_with = "name")]
    all: bool,

    /// Do not ask: they get what they were granted before, and no more
    #[arg(short, long)]
    yes: bool,
}

/// A plugin, and capabilities
#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// An installed plugin
    name: String,

    /// Such as docker; `alekseylearn plugin show NAME` lists what it wants
    #[arg(required = true)]
    capabilities: Vec<Capability>,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<()> {
    match arguments {
        Arguments::Install(install) => self::install(context, &install).await,
        Arguments::Upgrade(upgrade) => self::upgrade(context, &upgrade).await,
        Arguments::List => list(context),
        Arguments::Lock => lock(context),
        Arguments::Show { plugin } => show(context, &plugin).await,
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

async fn install(context: &Context, arguments: &Install) -> Result<()> {
    if arguments.locked {
        return install_locked(context, arguments.yes).await;
    }
    let text = arguments.source.as_deref().unwrap_or_default();
    let source = Source::parse(text, arguments.index.as_deref())?;
    let candidate = obtain(context, &source, arguments.name.as_deref()).await?;
    if let Some(expected) = &arguments.digest
        && *expected != candidate.digest()
    {
        return Err(Error::new(Kind::Plugin, format!("{source} has {}, not {expected}", candidate.digest()))
            .hint("nothing was installed; it is not the plugin that you mean"));
    }
    let spelled_out = arguments.grant.iter().copied().collect();
    let installed = consent_and_install(context, &candidate, &spelled_out, arguments.yes)?;
    let text = format!("Installed {}. Its drivers: alekseylearn driver list", named(&installed));
    context.ui.result(&text, told(&installed));
    Ok(())
}

/// Exactly what the lock file says, or nothing.
async fn install_locked(context: &Context, yes: bool) -> Result<()> {
    let mut candidates = Vec::new();
    for locked in plugin::read_lock(&context.environment.current)? {
        let candidate = obtain(context, &locked.source, Some(&locked.name)).await?;
        if candidate.digest() != locked.digest {
            return Err(Error::new(
                Kind::Plugin,
                format!("{} is not what {LOCK_FILE} says: it has {}", locked.source, candidate.digest()),
            )
            .hint("nothing was installed; it was changed since it was locked"));
        }
        candidates.push((candidate, locked));
    }
    let mut installed = Vec::new();
    for (candidate, locked) in candidates {
        // The file was written by somebody else, perhaps: a person is asked, a script has said --yes.
        let spelled_out = if yes { locked.granted } else { BTreeSet::new() };
        installed.push(consent_and_install(context, &candidate, &spelled_out, yes)?);
    }
    let names: Vec<String> = installed.iter().map(named).collect();
    let data = json!({ "plugins": installed.iter().map(told).collect::<Vec<_>>() });
    context.ui.result(&format!("Installed {}.", names.join(", ")), data);
    Ok(())
}

async fn upgrade(context: &Context, arguments: &Upgrade) -> Result<()> {
    let store = context.plugins.store();
    let plugins = match &arguments.name {
        Some(name) => vec![store.expect(name)?],
        None => store.list()?,
    };
    let mut lines = Vec::new();
    let mut data = Vec::new();
    for before in plugins {
        let candidate = obtain(context, &before.source, Some(&before.name)).await?;
        if candidate.digest() == before.digest {
            lines.push(format!("{} is up to date.", named(&before)));
            data.push(told(&before));
            continue;
        }
        let after = consent_and_install(context, &candidate, &BTreeSet::new(), arguments.yes)?;
        lines.push(format!("{} became {}.", named(&before), named(&after)));
        data.push(told(&after));
    }
    context.ui.result(&lines.join("\n"), json!({ "plugins": data }));
    Ok(())
}

async fn obtain(context: &Context, source: &Source, name: Option<&str>) -> Result<Candidate> {
    context.ui.stage(&format!("Getting {source}"));
    super::interruptible(context.plugins.candidate(source, name), "nothing was installed").await
}

/// Installs what was granted before or is spelled out now; a person is asked for the rest.
fn consent_and_install(
    context: &Context,
    candidate: &Candidate,
    spelled_out: &BTreeSet<Capability>,
    yes: bool,
) -> Result<Installed> {
    let before = context.plugins.store().get(&candidate.name)?;
    let wanted = &candidate.manifest.wants;
    let mut granted = spelled_out.clone();
    granted.extend(before.iter().flat_map(|before| &before.granted));
    granted.retain(|capability| wanted.contains(capability));
    let asked: BTreeSet<Capability> = wanted.difference(&granted).copied().collect();
    if !asked.is_empty() {
        let name = &candidate.name;
        let question = format!("{}\n\nInstall it, and let it?", described(candidate, &asked));
        if yes {
            let allow = names(&asked).replace(',', "");
            context.ui.warning(&format!(
                "{name} also wants {}: `alekseylearn plugin grant {name} {allow}` allows it",
                names(&asked)
            ));
        } else if context.ui.ask(&question)? {
            granted.extend(&asked);
        } else {
            return Err(not_granted(candidate, &asked));
        }
    }
    context.ui.stage(&format!("Compiling {}", candidate.name));
    context.plugins.install(candidate, granted)
}

fn not_granted(candidate: &Candidate, asked: &BTreeSet<Capability>) -> Error {
    let wanted: Vec<&str> =
        candidate.manifest.wants.iter().map(|capability| capability.interface()).collect();
    Error::new(Kind::Denied, format!("{} wants {}, which it was not granted", candidate.name, names(asked)))
        .details(described(candidate, asked))
        .hint(format!("nothing was installed; to grant it, add `--yes --grant {}`", wanted.join(",")))
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
            [plugin.name.clone(), version, names(&plugin.granted), plugin.source.to_string()]
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

fn lock(context: &Context) -> Result<()> {
    let plugins = context.plugins.store().list()?;
    let count = plugins.len();
    plugin::write_lock(&context.environment.current, plugins)?;
    context.ui.result(&format!("{LOCK_FILE} names {count} plugins."), json!({ "locked": count }));
    Ok(())
}

async fn show(context: &Context, plugin: &str) -> Result<()> {
    let installed = context.plugins.store().get(plugin)?;
    let candidate = match &installed {
        Some(installed) => context.plugins.installed(installed)?,
        None if Path::new(plugin).exists() || plugin.contains("://") => {
            context.plugins.candidate(&Source::parse(plugin, None)?, None).await?
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
