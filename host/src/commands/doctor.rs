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

/// Look whether all is there that training needs
///
/// One line for each thing, and a fix for what is wrong. It exits with 0 unless something is a problem; a warning is
/// none.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {}

const EXAMPLES: &str = "\
Examples:
  alekseylearn doctor

  Of another profile:
    AWS_PROFILE=work alekseylearn doctor";

/// What does not answer in this time is as good as not there.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one look found.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    what: String,
    fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Problem,
}

impl Check {
    fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, state: State::Ok, what: what.into(), fix: None }
    }

    fn warning(name: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Warning, what: what.into(), fix: Some(fix.into()) }
    }

    fn problem(name: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, state: State::Problem, what: what.into(), fix: Some(fix.into()) }
    }

    fn of(name: &'static str, error: &Error) -> Self {
        let fix = error.hint_text().unwrap_or("`alekseylearn jobs -v` may tell more");
        Self::problem(name, error.chain().replace('\n', " "), fix)
    }

    fn line(&self) -> String {
        let state = match self.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Problem => "problem",
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
    match checks.iter().filter(|check| check.state == State::Problem).count() {
        0 => Ok(()),
        1 => Err(Error::failed("there is a problem").hint("it is told above, with what mends it")),
        many => Err(Error::failed(format!("there are {many} problems"))
            .hint("they are told above, with what mends them")),
    }
}
