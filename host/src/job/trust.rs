//! Asks the user to trust what a project's own files ask for, before anything is done for it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::Context;
use crate::{
    config::{Defaults, Trust},
    error::{Error, Kind, Result},
    project::{Indexes, Project, Recipe, login_claims},
};

/// Asks the user once for each folder and each thing that its files ask for; `given` is consent by the command line.
///
/// # Errors
/// The user does not agree, or cannot be asked.
pub(super) fn require(context: &Context, asks: &Asks<'_>, given: bool) -> Result<()> {
    for (folder, claims) in asks.by_folder() {
        confirm(context, &folder, claims, given)?;
    }
    Ok(())
}

/// What a run takes from the files of a project.
pub(super) struct Asks<'a> {
    pub(super) defaults: &'a Defaults,
    pub(super) project: &'a Project,
    pub(super) indexes: &'a Indexes,
    pub(super) build_driver: &'a str,
    pub(super) train_driver: &'a str,
}

impl Asks<'_> {
    fn by_folder(&self) -> Vec<(PathBuf, BTreeSet<String>)> {
        let of_run = |kind: &str, driver: &str| match kind {
            "build" => driver == self.build_driver,
            _ => driver == self.train_driver,
        };
        let claims = self.defaults.claims(of_run).into_iter();
        let mut all: Vec<_> = claims.map(|(folder, claims)| (folder.to_owned(), claims)).collect();
        // Its Dockerfile lies beside the artifact.
        let dockerfile = (self.project.folder(), project_claims(self.project));
        let anchor = self.project.dependencies.as_ref().map(|found| &found.anchor);
        let logins = (anchor.unwrap_or(&self.project.root).clone(), self.indexes.claims());
        for (place, own) in [dockerfile, logins] {
            match all.iter_mut().find(|(folder, _)| *folder == place) {
                Some((_, claims)) => claims.extend(own),
                None => all.push((place, own)),
            }
        }
        all
    }
}

/// What the project itself asks for, besides its defaults.
fn project_claims(project: &Project) -> BTreeSet<String> {
    project.recipe.iter().map(dockerfile_claim).collect()
}

fn dockerfile_claim(recipe: &Recipe) -> String {
    format!("its own Dockerfile, from {}", recipe.images().join(", "))
}

/// Returns all that the files of a folder ask for, for any driver: `alekseylearn trust` trusts it as a whole.
///
/// # Errors
/// The folder's `alekseylearn.toml` or Dockerfile cannot be read.
pub fn claims_of_folder(context: &Context, folder: &Path) -> Result<BTreeSet<String>> {
    let defaults = Defaults::of_project(folder)?;
    let mut claims = defaults.claims(|_, _| true).map(|(_, claims)| claims).unwrap_or_default();
    claims.extend(Recipe::read(folder, &|_| false)?.iter().map(dockerfile_claim));
    claims.extend(login_claims(&context.environment.packages, folder));
    Ok(claims)
}

/// Trusts the Dockerfile that this program wrote on the user's request. If it is a copy, it is trusted only if the folder
/// `copied_from` is trusted with the same one.
///
/// # Errors
/// It cannot be read, or the answer cannot be stored.
pub fn trust_own_dockerfile(context: &Context, folder: &Path, copied_from: Option<&Path>) -> Result<()> {
    let claims: BTreeSet<String> = Recipe::read(folder, &|_| false)?.iter().map(dockerfile_claim).collect();
    let mut trust = Trust::read(&context.environment)?;
    let original = copied_from.and_then(|folder| folder.canonicalize().ok());
    if copied_from.is_some() && !original.is_some_and(|folder| trust.unconfirmed(&folder, &claims).is_empty())
    {
        return Ok(());
    }
    trust.confirm(folder, claims)
}

fn confirm(context: &Context, folder: &Path, claims: BTreeSet<String>, given: bool) -> Result<()> {
    if claims.is_empty() {
        return Ok(());
    }
    let mut trust = Trust::read(&context.environment)?;
    let new = trust.unconfirmed(folder, &claims);
    if new.is_empty() {
        return Ok(());
    }
    let listed: Vec<String> = new.iter().map(|claim| format!("  {claim}")).collect();
    let listed = listed.join("\n");
    let place = folder.display();
    let question = format!("Files in {place} ask for:\n{listed}\nTrust this folder?");
    if given || context.ui.ask(&question)? {
        return trust.confirm(folder, claims);
    }
    Err(Error::new(Kind::Denied, format!("{place} is not trusted: its files need your consent"))
        .details(listed)
        .hint("if you trust it, add --trust to the command"))
}
