//! What installing, upgrading and importing share: nothing is installed with more than was granted.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    commands,
    error::{Error, Kind, Result},
    job::Context,
    plugin::{Candidate, Capability, Installed, Source},
};

/// Gets a component, and lets Ctrl-C end that.
pub(super) async fn obtain(context: &Context, source: &Source, name: Option<&str>) -> Result<Candidate> {
    context.ui.stage(&format!("Getting {source}"));
    commands::interruptible(Candidate::obtain(source, name), "nothing was installed").await
}

/// Installs what was granted before or is spelled out now; a person is asked for the rest.
pub(super) fn consent_and_install(
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

/// Its name and version.
pub(super) fn named(plugin: &Installed) -> String {
    match &plugin.version {
        Some(version) => format!("{} {version}", plugin.name),
        None => plugin.name.clone(),
    }
}

/// Capabilities as a list, or a dash.
pub(super) fn names(granted: &BTreeSet<Capability>) -> String {
    let list: Vec<&str> = granted.iter().map(|capability| capability.interface()).collect();
    if list.is_empty() { "-".to_owned() } else { list.join(", ") }
}

/// For a program.
pub(super) fn told(plugin: &Installed) -> Value {
    json!(plugin)
}
