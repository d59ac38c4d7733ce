//! Completes names that this machine knows. They are looked up only when a shell requests them.

use std::path::Path;

use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter};

use crate::{
    environment::Environment,
    error::Result,
    job::{Entry, Record},
    plugin::{self, DriverKind, Installed},
};

/// Completes scripts and notebooks, and the folders that lead to them.
pub(in crate::commands) fn artifacts() -> ArgValueCompleter {
    let is_artifact = |path: &Path| {
        path.extension().is_some_and(|end| ["py", "ipynb", "sh"].iter().any(|known| end == *known))
    };
    ArgValueCompleter::new(PathCompleter::file().filter(is_artifact))
}

/// Completes jobs and tags. A tag stands for its newest job.
pub(in crate::commands) fn jobs_and_tags() -> ArgValueCandidates {
    candidates(|environment| {
        let jobs = Record::glance(environment)?;
        Ok(tags_of(&jobs).into_iter().chain(jobs.iter().map(job)).collect())
    })
}

/// Completes the tags of jobs.
pub(in crate::commands) fn tags() -> ArgValueCandidates {
    candidates(|environment| Ok(tags_of(&Record::glance(environment)?)))
}

/// Completes drivers of these kinds.
pub(in crate::commands) fn drivers(kinds: &'static [DriverKind]) -> ArgValueCandidates {
    candidates(move |environment| {
        let known = plugin::known_drivers(environment)?;
        let wanted =
            known.into_iter().filter(|(_, manifest)| kinds.iter().any(|kind| manifest.kinds.contains(kind)));
        Ok(wanted.map(|(name, manifest)| candidate(name, manifest.description)).collect())
    })
}

/// Completes installed plugins.
pub(in crate::commands) fn plugins() -> ArgValueCandidates {
    candidates(|environment| {
        let told = |plugin: Installed| candidate(plugin.name, plugin.version);
        Ok(plugin::installed(environment)?.into_iter().map(told).collect())
    })
}

fn candidates(
    look: impl Fn(&Environment) -> Result<Vec<CompletionCandidate>> + Send + Sync + 'static,
) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        Environment::read().and_then(|environment| look(&environment)).unwrap_or_default()
    })
}

fn candidate(name: String, help: Option<String>) -> CompletionCandidate {
    CompletionCandidate::new(name).help(help.map(Into::into))
}

fn job(job: &Entry) -> CompletionCandidate {
    candidate(job.name.clone(), Some(format!("{}, {}", job.driver, job.state)))
}

/// Each tag once, with the state of its newest job.
fn tags_of(jobs: &[Entry]) -> Vec<CompletionCandidate> {
    let is_newest = |(at, job): &(usize, &Entry)| !jobs[..*at].iter().any(|newer| newer.tag == job.tag);
    let newest = jobs.iter().enumerate().filter(is_newest);
    newest.map(|(_, job)| candidate(job.tag.clone(), Some(format!("newest job: {}", job.state)))).collect()
}
