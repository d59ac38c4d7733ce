//! Shared code of install, upgrade and import. A plugin gets no more than it was granted, and does not replace another
//! plugin without a question.

use semver::Version;
use serde_json::{Value, json};

use crate::{
    commands,
    error::{Error, Kind, Result},
    job::Context,
    plugin::{Candidate, Change, Consented, Grant, Grants, Installed, Source},
    shell::{command, quote},
};

/// Answers that the user gives in advance.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Answers {
    /// Do not ask; grant only what --grant names, and what the plugin was granted before
    #[arg(short, long)]
    pub(super) yes: bool,

    /// Accept an older version than the installed one
    #[arg(long)]
    pub(super) allow_downgrade: bool,

    /// Accept a plugin without the installed plugin's signature, or with another signer
    #[arg(long)]
    pub(super) allow_signer_change: bool,

    /// Accept another source than the installed plugin's, without a question
    #[arg(long)]
    pub(super) allow_source_change: bool,

    /// Allow the plugin to replace a shipped driver
    #[arg(long)]
    pub(super) replace_shipped: bool,
}

/// A component that could be installed, and the grants proposed for it.
pub(super) struct Offer {
    pub(super) candidate: Candidate,
    /// The grants that the user typed with `--grant`.
    pub(super) typed: Grants,
    /// The grants that a file lists: the user is asked for them.
    pub(super) proposed: Option<Grants>,
    /// Whether it was downloaded from its source. A file that only claims a source proves nothing.
    pub(super) from_its_source: bool,
    /// The command to repeat, if it takes no `--grant`.
    pub(super) by: Option<String>,
}

impl Offer {
    /// An offer downloaded from its source, with the grants that the user typed.
    pub(super) fn of(candidate: Candidate, typed: Grants) -> Self {
        Self { candidate, typed, proposed: None, from_its_source: true, by: None }
    }
}

/// Downloads or reads a component; Ctrl-C ends this.
pub(super) async fn obtain(
    context: &Context,
    source: &Source,
    name: Option<&str>,
    pinned: Option<&str>,
) -> Result<Candidate> {
    context.ui.stage(&format!("Getting {source}"));
    let obtaining = Candidate::obtain(source, name, pinned);
    let candidate = commands::interruptible(obtaining, "nothing was installed").await?;
    for note in &candidate.notes {
        context.ui.warning(note);
    }
    Ok(candidate)
}

/// Grants what the same plugin was granted before and what the user typed. Asks for the rest, and whether the component
/// may replace another plugin.
pub(super) fn consent(context: &Context, offer: Offer, answers: Answers) -> Result<Consented> {
    let Offer { candidate, typed, proposed, from_its_source, by } = offer;
    // Before the question: a component that is refused needs none.
    let signed = context.plugins.admit(&candidate)?;
    let installed = context.plugins.store().get(&candidate.name)?;
    let replaced = installed
        .map(|installed| Replaced::of(context, installed, &candidate, from_its_source || signed))
        .transpose()?;
    let is_other = replaced.as_ref().is_none_or(Replaced::is_other);
    let takes_shipped = candidate.takes_a_reserved_name() && is_other;
    refuse(&candidate, replaced.as_ref(), takes_shipped, answers)?;
    let manifest = &candidate.manifest;
    // Grants belong to a plugin, not to its name.
    let before = replaced.as_ref().filter(|replaced| !replaced.is_other());
    let before = before.map(|replaced| replaced.installed.granted.clone()).unwrap_or_default();
    let never = context.plugins.never_granted()?;
    if let Some((grant, rule)) = typed.iter().find_map(|grant| Some((grant, never.rule(grant)?))) {
        return Err(never.refused(grant, rule));
    }
    let mut granted = before.clone();
    granted.extend(typed);
    // The user may grant requests to an origin that the plugin does not list, such as their own service.
    let can_use = |grant: &Grant| match grant {
        Grant::Capability(_) => manifest.wants.has(grant),
        Grant::Requests(_) => manifest.sends_requests,
    };
    granted.retain(can_use);
    let mut wanted = manifest.wants.without(&granted);
    if let Some(proposed) = proposed {
        wanted = proposed.without(&granted);
        wanted.retain(can_use);
    }
    // A credential that is bound to its service's hosts is sent elsewhere only if the user typed that.
    let mut asked = wanted.clone();
    asked.retain(|grant| grant.keeps_to_its_service() && never.rule(grant).is_none());
    let (asked, untold) = (asked.clone(), wanted.without(&asked));
    let must_answer = takes_shipped || replaced.as_ref().is_some_and(Replaced::is_other);
    if !answers.yes && (!asked.is_empty() || must_answer) {
        let asking = question(&candidate, replaced.as_ref(), takes_shipped, &asked);
        if !context.ui.ask(&asking)? {
            return Err(not_granted(&candidate, replaced.as_ref(), takes_shipped, &asked, by, answers)
                .details(asking));
        }
        granted.extend(asked);
        tell_wanted(context, &candidate.name, &untold);
    } else {
        tell_wanted(context, &candidate.name, &wanted);
    }
    let replaces = replaced.as_ref().map(|replaced| replaced.named.clone());
    if let Some(replaces) = &replaces
        && must_answer
    {
        context.ui.warning(&format!("{} replaces {replaces}, without its grants", candidate.name));
    }
    Ok(Consented { candidate, granted, before, replaces })
}

/// Warns of wanted capabilities that were not granted, with the command that grants them.
fn tell_wanted(context: &Context, name: &str, wanted: &Grants) {
    if wanted.is_empty() {
        return;
    }
    let allow = grant_command(name, wanted);
    context.ui.warning(&format!("{name} also wants {wanted}: `{allow}` allows it"));
}

/// The command that grants them.
fn grant_command(name: &str, grants: &Grants) -> String {
    let grants: Vec<String> = grants.iter().map(ToString::to_string).collect();
    command(["alekseylearn", "plugin", "grant", name].into_iter().chain(grants.iter().map(String::as_str)))
}

/// The installed plugin that a component would replace.
struct Replaced {
    installed: Installed,
    /// Its name, version and signer.
    named: String,
    /// The changes that make the new component another plugin.
    changes: Vec<Change>,
    /// The version of the new component, if it is older.
    older: Option<String>,
}

impl Replaced {
    fn of(context: &Context, installed: Installed, candidate: &Candidate, proven: bool) -> Result<Self> {
        let mut changes = installed.identity().changes_to(&candidate.identity());
        let same = installed.digest == candidate.digest();
        if !proven && !same && !changes.contains(&Change::Source) {
            changes.push(Change::Source);
        }
        let version = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Version>().ok());
        let (before, now) = (version(&installed.version), candidate.manifest.version.clone());
        // A component without a version counts as older than one with a version.
        let older = (now < before)
            .then(|| now.map_or_else(|| "a component without a version".into(), |now| now.to_string()));
        let named =
            format!("{}, {}, from {}", installed.named(), signed(context, &installed), installed.source);
        Ok(Self { installed, named, changes, older })
    }

    /// Whether the new component is another plugin of the same name.
    fn is_other(&self) -> bool {
        !self.changes.is_empty()
    }
}

/// Refuses what only a flag allows, and no answer.
fn refuse(
    candidate: &Candidate,
    replaced: Option<&Replaced>,
    takes_shipped: bool,
    answers: Answers,
) -> Result<()> {
    let name = &candidate.name;
    let denied = |message: String, hint: &str| Err(Error::new(Kind::Denied, message).hint(hint));
    if takes_shipped && !answers.replace_shipped {
        return denied(
            format!("{name} is the name of a shipped driver, and {} is another plugin", candidate.source),
            &format!(
                "install it under another name: `{} --name my-{name}`; or add --replace-shipped to replace {name}",
                candidate.source.install()
            ),
        );
    }
    let Some(replaced) = replaced else { return Ok(()) };
    let named = &replaced.named;
    let another = replaced.changes.contains(&Change::OwnName);
    let signed = replaced.installed.signature.is_some() || candidate.is_signed();
    if (replaced.changes.contains(&Change::Signer) || (another && signed)) && !answers.allow_signer_change {
        let identity = candidate.identity();
        let now = match (&identity.own_name, &identity.signer) {
            (own, _) if another => format!("calls itself {}", own.as_deref().unwrap_or("nothing")),
            (_, Some(key)) => format!("is signed with another key, {key}"),
            (_, None) => "is unsigned".to_owned(),
        };
        return denied(
            format!("{name} from {} {now}, and would replace {named}", candidate.source),
            "nothing was installed; if you know why that changed, add --allow-signer-change",
        );
    }
    if let Some(older) = &replaced.older
        && !answers.allow_downgrade
    {
        return denied(
            format!("{name} from {} is {older}, and would replace {named}", candidate.source),
            "nothing was installed; to go back to an older version, add --allow-downgrade",
        );
    }
    if replaced.is_other() && answers.yes && !answers.allow_source_change && !answers.allow_signer_change {
        return denied(
            format!("{name} from {} is another plugin, and would replace {named}", candidate.source),
            "nothing was installed; omit --yes to be asked, or add --allow-source-change",
        );
    }
    Ok(())
}

/// Installs all of them, or none.
pub(super) async fn install(context: &Context, consented: &[Consented]) -> Result<Vec<Installed>> {
    let names: Vec<&str> = consented.iter().map(|one| one.candidate.name.as_str()).collect();
    context.ui.stage(&format!("Compiling {}", names.join(", ")));
    commands::interruptible(context.plugins.install(consented), "nothing was installed").await
}

/// The outcome, as text.
pub(super) fn done(installed: &[Installed], consented: &[Consented]) -> String {
    let line = |(plugin, consented): (&Installed, &Consented)| match &consented.replaces {
        Some(replaced) => format!("Installed {}. It replaces {replaced}.", plugin.named()),
        None => format!("Installed {}.", plugin.named()),
    };
    installed.iter().zip(consented).map(line).collect::<Vec<_>>().join("\n")
}

fn not_granted(
    candidate: &Candidate,
    replaced: Option<&Replaced>,
    takes_shipped: bool,
    asked: &Grants,
    by: Option<String>,
    answers: Answers,
) -> Error {
    let name = &candidate.name;
    let other = replaced.filter(|replaced| replaced.is_other());
    let message = match other {
        Some(replaced) => format!("{name} would replace {}", replaced.named),
        None if takes_shipped => format!("{name} would replace the shipped driver {name}"),
        None => format!("{name} wants {asked}, which it was not granted"),
    };
    let flags: String = [
        (other.is_some(), " --allow-source-change"),
        (answers.allow_signer_change, " --allow-signer-change"),
        (answers.allow_downgrade, " --allow-downgrade"),
        (takes_shipped, " --replace-shipped"),
    ]
    .into_iter()
    .filter_map(|(is_needed, flag)| is_needed.then_some(flag))
    .collect();
    let mut grants = String::new();
    let mut later = String::new();
    match &by {
        _ if asked.is_empty() => {}
        Some(_) => later = format!(", then `{}`", grant_command(name, asked)),
        None => grants = format!(" --grant {}", quote(&asked.spelled_out())),
    }
    let command = by.unwrap_or_else(|| {
        let own = candidate.manifest.name.as_deref() == Some(name);
        let named = if own { String::new() } else { format!(" --name {name}") };
        format!("{}{named}", candidate.source.install())
    });
    Error::new(Kind::Denied, message)
        .hint(format!("nothing was installed; to allow it: `{command} --yes{flags}{grants}`{later}"))
}

/// The question: what would happen, and what the plugin could do at worst.
fn question(
    candidate: &Candidate,
    replaced: Option<&Replaced>,
    takes_shipped: bool,
    asked: &Grants,
) -> String {
    let name = &candidate.name;
    let mut parts = Vec::new();
    if takes_shipped {
        parts.push(format!(
            "It would replace the shipped driver {name}: runs with the driver {name} would use it."
        ));
    }
    match replaced {
        Some(replaced) if replaced.is_other() => parts.push(format!(
            "It would replace {}. It is another plugin, {}, and gets none of its grants.",
            replaced.named,
            candidate.identity()
        )),
        Some(replaced) => parts.push(format!("It would replace {}.", replaced.named)),
        None => {}
    }
    if !asked.is_empty() {
        let mut lines = vec![format!("The plugin {name} could then, at worst,")];
        lines.extend(asked.iter().map(|grant| format!("  - {} ({grant})", grant.at_worst())));
        parts.push(lines.join("\n"));
    }
    let ask = if asked.is_empty() { "Install it?" } else { "Install it, and allow this?" };
    parts.push(ask.to_owned());
    parts.join("\n\n")
}

/// Who signed an installed plugin. A damaged plugin is a warning, so that the others are still listed.
fn signed(context: &Context, plugin: &Installed) -> String {
    match context.plugins.signed_installed(plugin) {
        Ok(signed) => signed.to_string(),
        Err(error) => {
            context.ui.warning(&error.chain());
            "not verified".to_owned()
        }
    }
}

/// An installed plugin, for `--json`.
pub(super) fn told(context: &Context, plugin: &Installed) -> Value {
    let mut told = json!(plugin);
    told["signature"] = json!(signed(context, plugin));
    told
}
