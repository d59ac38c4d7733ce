use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    config::{Trust, TrustedFolder},
    error::{Context as _, Error, Kind, Result},
    job::{self, Context},
};

/// Trust a project's own alekseylearn.toml, Dockerfile and dependency files
///
/// A project's files can choose a cloud account, a role, a machine type or a Dockerfile, and request your variables and
/// logins. `fit` and `check` ask before they use them. This command answers in advance, or revokes an earlier answer.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Folder of the project
    #[arg(default_value = ".", conflicts_with = "list")]
    folder: PathBuf,

    /// List trusted folders
    #[arg(long, conflicts_with = "revoke")]
    list: bool,

    /// Stop trusting the folder
    #[arg(long)]
    revoke: bool,
}

const EXAMPLES: &str = "\
Examples:
  alekseylearn trust
  alekseylearn trust --list
  alekseylearn trust --revoke ~/projects/iris";

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let mut trust = Trust::read(&context.environment)?;
    if arguments.list {
        list(context, trust.folders());
        return Ok(());
    }
    let place = context.environment.resolve(&arguments.folder);
    if arguments.revoke {
        // A folder that is gone can still be revoked.
        return revoke(context, &mut trust, &place.canonicalize().unwrap_or(place));
    }
    let folder = place.canonicalize().context(|| format!("cannot read {}", place.display()))?;
    let claims = job::claims_of_folder(context, &folder)?;
    let shown = folder.display();
    let data = json!({ "folder": folder, "claims": claims });
    if claims.is_empty() {
        context.ui.result(&format!("Nothing in {shown} needs your trust."), data);
        return Ok(());
    }
    let lines: Vec<String> = claims.iter().map(|claim| format!("  {claim}")).collect();
    trust.confirm(&folder, claims)?;
    context.ui.result(&format!("Trusted {shown} with:\n{}", lines.join("\n")), data);
    Ok(())
}

fn revoke(context: &Context, trust: &mut Trust, folder: &Path) -> Result<()> {
    if !trust.revoke(folder)? {
        return Err(Error::new(Kind::NotFound, format!("{} is not trusted", folder.display()))
            .hint("`alekseylearn trust --list` lists trusted folders"));
    }
    let text = format!("{} is no longer trusted.", folder.display());
    context.ui.result(&text, json!({ "folder": folder }));
    Ok(())
}

fn list(context: &Context, folders: &[TrustedFolder]) {
    let rows: Vec<[String; 2]> = folders
        .iter()
        .flat_map(|entry| {
            let folder = entry.folder.display().to_string();
            entry.claims.iter().map(move |claim| [folder.clone(), claim.clone()])
        })
        .collect();
    let text = if rows.is_empty() {
        "No folder is trusted.".to_owned()
    } else {
        context.ui.table(["FOLDER", "WITH"], &rows)
    };
    context.ui.result(&text, json!({ "folders": folders }));
}
