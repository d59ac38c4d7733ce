//! What installing, upgrading and importing share: nothing is installed with more than was granted.

use serde_json::{Value, json};

use crate::{
    commands,
    error::{Error, Kind, Result},
    job::Context,
    plugin::{Candidate, Consented, Grant, Grants, Installed, Source},
    shell::{command, quote},
};

/// Gets a component, and lets Ctrl-C end that.
pub(super) async fn obtain(
    context: &Context,
    source: &Source,
    name: Option<&str>,
    pinned: Option<&str>,
) -> Result<Candidate> {
    context.ui.stage(&format!("Getting {source}"));
    commands::interruptible(Candidate::obtain(source, name, pinned), "nothing was installed").await
}

/// What was granted before or is spelled out now; a person is asked for the rest.
pub(super) fn consent(
    context: &Context,
    candidate: Candidate,
    spelled_out: Grants,
    yes: bool,
) -> Result<Consented> {
    // Before anybody is asked for what is then refused.
    context.plugins.admit(&candidate)?;
    let before = context.plugins.store().get(&candidate.name)?;
    let manifest = &candidate.manifest;
    let before = before.map(|before| before.granted).unwrap_or_default();
    let mut granted = before.clone();
    granted.extend(spelled_out);
    // The user may let it send requests to where it does not ask to: to a service of their own, say.
    granted.retain(|grant| match grant {
        Grant::Capability(_) => manifest.wants.has(grant),
        Grant::Requests(_) => manifest.sends_requests,
    });
    let asked = manifest.wants.without(&granted);
    if !asked.is_empty() {
        let name = &candidate.name;
        let question = format!("{}\n\nInstall it, and let it?", described(&candidate, &asked));
        if yes {
            let grants: Vec<String> = asked.iter().map(|grant| grant.to_string()).collect();
            let words = ["alekseylearn", "plugin", "grant", name].into_iter();
            let allow = command(words.chain(grants.iter().map(String::as_str)));
            context.ui.warning(&format!("{name} also wants {asked}: `{allow}` allows it"));
        } else if context.ui.ask(&question)? {
            granted.extend(asked);
        } else {
            return Err(not_granted(&candidate, &asked));
        }
    }
    Ok(Consented { candidate, granted, before })
}

/// Installs all of them, or none.
pub(super) async fn install(context: &Context, consented: &[Consented]) -> Result<Vec<Installed>> {
    let names: Vec<&str> = consented.iter().map(|one| one.candidate.name.as_str()).collect();
    context.ui.stage(&format!("Compiling {}", names.join(", ")));
    commands::interruptible(context.plugins.install(consented), "nothing was installed").await
}

fn not_granted(candidate: &Candidate, asked: &Grants) -> Error {
    let wanted = candidate.manifest.wants.spelled_out();
    Error::new(Kind::Denied, format!("{} wants {asked}, which it was not granted", candidate.name))
        .details(described(candidate, asked))
        .hint(format!("nothing was installed; to grant it, add `--yes --grant {}`", quote(&wanted)))
}

/// What it could do at worst, in plain words.
fn described(candidate: &Candidate, asked: &Grants) -> String {
    let mut lines = vec![format!("The plugin {} could then, at worst,", candidate.name)];
    lines.extend(asked.iter().map(|grant| format!("  - {} ({grant})", grant.at_worst())));
    lines.join("\n")
}

/// Its name and version.
pub(super) fn named(plugin: &Installed) -> String {
    match &plugin.version {
        Some(version) => format!("{} {version}", plugin.name),
        None => plugin.name.clone(),
    }
}

/// Who signed an installed plugin. One that is damaged does not keep the others from being listed.
fn signed(context: &Context, plugin: &Installed) -> String {
    match context.plugins.signed_installed(plugin) {
        Ok(signed) => signed.to_string(),
        Err(error) => {
            context.ui.warning(&error.chain());
            "not verified".to_owned()
        }
    }
}

/// For a program.
pub(super) fn told(context: &Context, plugin: &Installed) -> Value {
    let mut told = json!(plugin);
    told["signature"] = json!(signed(context, plugin));
    told
}
