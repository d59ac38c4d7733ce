use std::path::Path;

use serde_json::{Value, json};

use crate::{
    commands::completions,
    error::{Error, Kind, Result},
    job::{Context, Entry, Record},
    plugin::{Candidate, Grants, Source},
};

/// Show a plugin's metadata and grants
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// An installed plugin, a .wasm file, or an https:// or oci:// address
    #[arg(add = completions::plugins())]
    plugin: String,
}

/// The number of last runs that are shown.
const RUNS: usize = 5;

/// The last jobs of this plugin, and how many verbs it called: `plugin audit` shows them.
fn runs(context: &Context, candidate: &Candidate) -> Vec<Value> {
    // If the record cannot be read, the rest is still useful.
    let jobs = Record::glance(&context.environment).unwrap_or_default();
    let identity = candidate.identity();
    let own = |job: &&Entry| job.details.driver_identity.as_ref().is_some_and(|was| was.admits(&identity));
    let run = |job: &Entry| {
        let verbs = context.plugins.audit().read(&job.name).unwrap_or_default();
        let denied = verbs.iter().filter(|verb| !verb.allowed).count();
        json!({ "job": job.name, "state": job.state, "verbs": verbs.len(), "denied": denied })
    };
    jobs.iter().filter(own).take(RUNS).map(run).collect()
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let plugin = &arguments.plugin;
    let installed = context.plugins.store().get(plugin)?;
    let candidate = match context.plugins.installed(plugin)? {
        Some(candidate) => candidate,
        None if Path::new(plugin).exists() || plugin.contains("://") => {
            Candidate::obtain(&Source::parse(plugin, None)?, None, None).await?
        }
        None => {
            return Err(Error::new(Kind::NotFound, format!("no plugin or file named `{plugin}`"))
                .hint("`alekseylearn plugin list` lists installed plugins"));
        }
    };
    let manifest = &candidate.manifest;
    let signed = context.plugins.signed(&candidate)?.to_string();
    let kinds: Vec<&str> = manifest.kinds.iter().map(|kind| kind.name()).collect();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let version = manifest.version.as_ref().map(ToString::to_string);
    let mut lines = vec![
        format!("{} {}", candidate.name, version.clone().unwrap_or_default()).trim_end().to_owned(),
        format!("  about:     {}", text(&manifest.description)),
        format!("  drivers:   {}", kinds.join(", ")),
        format!("  authors:   {}", text(&manifest.authors)),
        format!("  licence:   {}", text(&manifest.licence)),
        format!("  source:    {}", text(&manifest.source)),
        format!("  contract:  {}", manifest.contract),
        format!("  digest:    {}", candidate.digest()),
        format!("  from:      {}", candidate.source),
        format!("  signature: {signed}"),
    ];
    let granted = installed.as_ref().map(|installed| &installed.granted);
    for grant in granted.into_iter().flat_map(Grants::iter) {
        lines.push(format!("  granted:   {grant}: {}", grant.at_worst()));
    }
    for grant in manifest.wants.without(&granted.cloned().unwrap_or_default()).iter() {
        lines.push(format!("  wanted:    {grant}: {}", grant.at_worst()));
    }
    let runs = runs(context, &candidate);
    for run in &runs {
        let (job, state) =
            (run["job"].as_str().unwrap_or_default(), run["state"].as_str().unwrap_or_default());
        lines.push(format!("  run:       {job} {state}: {} verbs, {} denied", run["verbs"], run["denied"]));
    }
    // Long lines continue below the start of their text.
    let lines: Vec<String> =
        lines.iter().map(|line| context.ui.folded(line, "  wanted:    ".len())).collect();
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
            "signature": signed,
            "wants": manifest.wants,
            "granted": granted,
            "runs": runs,
        }),
    );
    Ok(())
}
