mod page;
mod plot;

use std::{io::Write, path::PathBuf};

use serde_json::json;

use super::completions;
use crate::{
    disk::{self, SHARED},
    error::{Context as _, Error, Kind, Result},
    job::{self, Context, Record},
};

/// Write an HTML report of a job
///
/// Contains the outcome, timeline, metrics, options and log. The report is one file that needs no network.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Name of a job, or a tag such as models/train for its newest job
    #[arg(add = completions::jobs_and_tags())]
    job: String,

    /// File to write (default: JOB.html in the current folder)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace an existing file
    #[arg(long)]
    overwrite: bool,
}

const EXAMPLES: &str = "\
Examples:
  The newest job of models/train.py:
    alekseylearn report models/train --output train.html";

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let known = context.known(&record, &arguments.job).await?;
    let report = super::interruptible(job::report(context, &record, &known), "nothing was written").await?;
    let name = &report.entry.name;
    let shown = arguments.output.clone().unwrap_or_else(|| format!("{name}.html").into());
    let path = context.environment.resolve(&shown);
    if path.exists() && !arguments.overwrite {
        return Err(Error::new(Kind::Conflict, format!("{} already exists", shown.display()))
            .hint("use --output with another file, or --overwrite to replace it"));
    }
    disk::write(&path, SHARED, |file| file.write_all(page::of(&report).as_bytes()))
        .context(|| format!("cannot write {}", shown.display()))?;
    context.ui.result(
        &format!("Wrote {}.", shown.display()),
        json!({ "job": name, "page": path, "log_lines": report.log.len(), "log_lines_left_out": report.left_out }),
    );
    Ok(())
}
