use serde_json::json;

use super::consent::{Answers, Offer, consent, done, install, obtain, told};
use crate::{
    error::{Error, Kind, Result},
    job::Context,
    plugin::{self, Grant, Grants, LOCK_FILE, Source},
};

/// Install a plugin
///
/// Shows what it could do at worst, and asks once. Nothing of it runs before that.
///
/// A plugin is its source, its signer and its name. Installed over itself, it keeps its grants, and asks only if it wants
/// more. Another plugin of the same name gets none of them. An older version, a lost signature or another signer is an
/// error without its flag. The names of the drivers that come with alekseylearn are reserved.
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

    #[command(flatten)]
    answers: Answers,
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
        return install_locked(context, arguments.answers).await;
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
    let typed = arguments.grant.iter().cloned().collect();
    let consented = [consent(context, Offer::of(candidate, typed), arguments.answers)?];
    for installed in install(context, &consented).await? {
        let text = format!(
            "{} Its drivers: alekseylearn driver list",
            done(std::slice::from_ref(&installed), &consented)
        );
        let mut data = told(context, &installed);
        data["replaced"] = json!(consented[0].replaces);
        context.ui.result(&text, data);
    }
    Ok(())
}

/// Exactly what the lock file says, or nothing. What it grants is a question: somebody else may have written it.
async fn install_locked(context: &Context, answers: Answers) -> Result<()> {
    let all = plugin::read_lock(&context.environment.current)?;
    let list: Vec<String> = all
        .iter()
        .map(|locked| {
            let version = locked.version.as_deref().unwrap_or("without a version");
            format!("  - {} {version} from {}, granted {}", locked.name, locked.source, locked.granted)
        })
        .collect();
    // The file came with a folder: it must not have this machine ask others for anything before its user says so.
    let question = format!("{LOCK_FILE} names\n{}\n\nGet them?", list.join("\n"));
    if !answers.yes && !context.ui.ask(&question)? {
        return Err(Error::new(Kind::Denied, format!("what {LOCK_FILE} names was not confirmed"))
            .details(list.join("\n"))
            .hint("nothing was asked for; to get them: `alekseylearn plugin install --locked --yes`"));
    }
    let mut candidates = Vec::new();
    for locked in all {
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
        let offer = Offer {
            proposed: Some(locked.granted),
            by: Some("alekseylearn plugin install --locked".to_owned()),
            ..Offer::of(candidate, Grants::default())
        };
        consented.push(consent(context, offer, answers)?);
    }
    let installed = install(context, &consented).await?;
    let data = json!({ "plugins": installed.iter().map(|plugin| told(context, plugin)).collect::<Vec<_>>() });
    context.ui.result(&done(&installed, &consented), data);
    Ok(())
}
