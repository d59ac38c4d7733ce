mod cloud;
mod engine;
mod files;

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::{
    error::{Error, Result},
    job::Context,
};

/// Check that everything needed for training is set up
///
/// Prints one line per check, with a fix for each problem. Exits with 0 unless there is a problem; warnings do not
/// count.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {}

const EXAMPLES: &str = "\
Examples:
  alekseylearn doctor

  Check another AWS profile:
    AWS_PROFILE=work alekseylearn doctor";

/// The time limit of each check.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result of one check.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: Verdict,
    what: String,
    fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Problem,
}

impl Check {
    fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, state: Verdict::Ok, what: what.into(), fix: None }
    }

    fn warning(name: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: Verdict::Warning, what: what.into(), fix: Some(fix.into()) }
    }

    fn problem(name: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: Verdict::Problem, what: what.into(), fix: Some(fix.into()) }
    }

    fn of(name: &'static str, error: &Error) -> Self {
        let fix = error.hint_text().unwrap_or("`alekseylearn jobs -v` may show more");
        Self::problem(name, error.chain().replace('\n', " "), fix)
    }

    fn line(&self) -> String {
        let state = match self.state {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Problem => "problem",
        };
        let fix = self.fix.as_ref().map(|fix| format!(" — {fix}")).unwrap_or_default();
        format!("{state:7}  {}: {}{fix}", self.name, self.what)
    }
}

pub(super) async fn run(context: &Context, _arguments: &Arguments) -> Result<()> {
    let (engine, cloud, files) =
        tokio::join!(engine::look(context), cloud::look(context), files::look(context));
    let checks: Vec<Check> = [engine, files, cloud].into_iter().flatten().collect();
    let lines: Vec<String> = checks.iter().map(|check| context.ui.folded(&check.line(), 9)).collect();
    context.ui.result(&lines.join("\n"), json!({ "checks": checks }));
    match checks.iter().filter(|check| check.state == Verdict::Problem).count() {
        0 => Ok(()),
        1 => Err(Error::failed("found a problem").hint("see the problem and its fix above")),
        many => {
            Err(Error::failed(format!("found {many} problems"))
                .hint("see the problems and their fixes above"))
        }
    }
}
