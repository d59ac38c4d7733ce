use serde_json::json;

use super::consent::{Answers, Offer, consent, done, install, obtain, told};
use crate::{
    error::{Error, Kind, Result},
    job::Context,
    plugin::{self, Grant, Grants, LOCK_FILE, Source},
};

/// Install a plugin
///
/// Shows what the plugin could do at worst, and asks once. None of its code runs before that.
///
/// Source, signer and name identify a plugin. Installing it again keeps its grants, and asks only if it wants more.
/// Another plugin of the same name gets none of them. An older version, a missing signature or another signer is an error
/// unless its flag is given. The names of shipped drivers are reserved.
///
/// A minisign signature is verified if there is one: FILE.wasm.minisig beside a file or an address, `signature` in an
/// index, or the annotation alekseylearn.minisig in a registry. Set whom you trust, and whether signatures are required,
/// in your alekseylearn.toml: [plugins] trusted-keys and require-signatures.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::commands) struct Arguments {
    /// A .wasm file, a folder with one, an https:// or oci:// address, or with --index a NAME or NAME@VERSION
    #[arg(required_unless_present = "locked")]
    source: Option<String>,

    /// File or address of an index; the newest version that this program can run is installed
    #[arg(long, value_name = "INDEX", requires = "source")]
    index: Option<String>,

    /// Install exactly what the alekseylearn.lock of the current folder lists
    #[arg(long, conflicts_with_all = ["source", "name", "grant"])]
    locked: bool,

    /// Refuse a component with any other digest
    #[arg(long, value_name = "sha256:…", requires = "source")]
    digest: Option<String>,

    /// Name to install it under, instead of its own
    #[arg(long)]
    name: Option<String>,

    /// Grant this without a question: a capability, or an origin such as https://api.example.com=env:TOKEN; repeatable
    #[arg(long, value_name = "GRANT", value_delimiter = ',')]
    grant: Vec<Grant>,

    #[command(flatten)]
    answers: Answers,
}

const EXAMPLES: &str = "\
Examples:
  Inspect a plugin before you install it:
    alekseylearn plugin show ./my-driver.wasm

  Install it, and answer the question about its grants:
    alekseylearn plugin install ./my-driver.wasm

  The same in a script:
    alekseylearn plugin install ./my-driver.wasm --yes --grant docker

  From an image registry, with the credentials of `docker login`:
    alekseylearn plugin install oci://registry.example.org/drivers/my-driver:1.2

  Share a team's plugins by a lock file:
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
        return Err(Error::new(
            Kind::Plugin,
            format!("{source} has the digest {}, not {expected}", candidate.digest()),
        )
        .hint("nothing was installed; check the source and the digest"));
    }
    let typed = arguments.grant.iter().cloned().collect();
    let consented = [consent(context, Offer::of(candidate, typed), arguments.answers)?];
    for installed in install(context, &consented).await? {
        let text = format!(
            "{} `alekseylearn driver list` lists its drivers.",
            done(std::slice::from_ref(&installed), &consented)
        );
        let mut data = told(context, &installed);
        data["replaced"] = json!(consented[0].replaces);
        context.ui.result(&text, data);
    }
    Ok(())
}

/// Installs exactly what the lock file lists, or nothing. Asks for its grants: somebody else may have written it.
async fn install_locked(context: &Context, answers: Answers) -> Result<()> {
    let all = plugin::read_lock(&context.environment.current)?;
    let list: Vec<String> = all
        .iter()
        .map(|locked| {
            let version = locked.version.as_deref().unwrap_or("without a version");
            format!("  - {} {version} from {}, granted {}", locked.name, locked.source, locked.granted)
        })
        .collect();
    // The file may come from a stranger: it must not cause requests before the user agrees.
    let question = format!("{LOCK_FILE} lists\n{}\n\nDownload them?", list.join("\n"));
    if !answers.yes && !context.ui.ask(&question)? {
        return Err(Error::new(Kind::Denied, format!("the plugins of {LOCK_FILE} were not confirmed"))
            .details(list.join("\n"))
            .hint("nothing was downloaded; to confirm: `alekseylearn plugin install --locked --yes`"));
    }
    let mut candidates = Vec::new();
    for locked in all {
        let candidate = obtain(context, &locked.source, Some(&locked.name), Some(&locked.digest)).await?;
        if candidate.digest() != locked.digest {
            return Err(Error::new(
                Kind::Plugin,
                format!(
                    "{} does not match {LOCK_FILE}: it has the digest {}",
                    locked.source,
                    candidate.digest()
                ),
            )
            .hint("nothing was installed; it changed after it was locked"));
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
