use serde_json::json;

use super::consent::{consent, install, named, obtain, told};
use crate::{
    error::{Error, Kind, Result},
    job::Context,
    plugin::{self, Grant, Grants, LOCK_FILE, Source},
};

/// Install a plugin
///
/// Shows what it could do at worst, and asks once. Installed over one of its name it keeps that one's grants, and asks
/// only where it wants more. Nothing of it runs before that.
///
/// A minisign signature is verified where there is one: FILE.wasm.minisig beside a file or an address, `signature` in an
/// index, the annotation alekseylearn.minisig in a registry. Whom you trust, and whether you require it, stands in your
/// alekseylearn.toml: [plugins] trusted-keys and require-signatures.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::commands) struct Arguments {
    /// A .wasm file, a folder that holds one, an https:// or oci:// address, or with --index a NAME or
    /// NAME@VERSION
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

    /// Grant this without being asked: a capability, or an origin such as https://api.example.com=env:TOKEN; may be
    /// given several times
    #[arg(long, value_name = "GRANT", value_delimiter = ',')]
    grant: Vec<Grant>,

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

  From a registry of images, with the credentials that `docker login` stored:
    alekseylearn plugin install oci://registry.example.org/drivers/my-driver:1.2

  What a team agreed on:
    alekseylearn plugin lock
    alekseylearn plugin install --locked";

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    if arguments.locked {
        return install_locked(context, arguments.yes).await;
    }
    let text = arguments.source.as_deref().unwrap_or_default();
    let source = Source::parse(text, arguments.index.as_deref())?;
    let candidate = obtain(context, &source, arguments.name.as_deref(), None).await?;
    if let Some(expected) = &arguments.digest
        && *expected != candidate.digest()
    {
        return Err(Error::new(Kind::Plugin, format!("{source} has {}, not {expected}", candidate.digest()))
            .hint("nothing was installed; it is not the plugin that you mean"));
    }
    let spelled_out = arguments.grant.iter().cloned().collect();
    let consented = consent(context, candidate, spelled_out, arguments.yes)?;
    for installed in install(context, &[consented]).await? {
        let text = format!("Installed {}. Its drivers: alekseylearn driver list", named(&installed));
        context.ui.result(&text, told(context, &installed));
    }
    Ok(())
}

/// Exactly what the lock file says, or nothing.
async fn install_locked(context: &Context, yes: bool) -> Result<()> {
    let mut candidates = Vec::new();
    for locked in plugin::read_lock(&context.environment.current)? {
        let candidate = obtain(context, &locked.source, Some(&locked.name), Some(&locked.digest)).await?;
        if candidate.digest() != locked.digest {
            return Err(Error::new(
                Kind::Plugin,
                format!("{} is not what {LOCK_FILE} says: it has {}", locked.source, candidate.digest()),
            )
            .hint("nothing was installed; it was changed since it was locked"));
        }
        candidates.push((candidate.with_signature(locked.signature.clone()), locked));
    }
    let mut consented = Vec::new();
    for (candidate, locked) in candidates {
        // The file was written by somebody else, perhaps: a person is asked, a script has said --yes.
        let spelled_out = if yes { locked.granted } else { Grants::default() };
        consented.push(consent(context, candidate, spelled_out, yes)?);
    }
    let installed = install(context, &consented).await?;
    let names: Vec<String> = installed.iter().map(named).collect();
    let data = json!({ "plugins": installed.iter().map(|plugin| told(context, plugin)).collect::<Vec<_>>() });
    context.ui.result(&format!("Installed {}.", names.join(", ")), data);
    Ok(())
}
