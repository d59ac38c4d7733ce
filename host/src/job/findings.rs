//! Checks a run with its train driver, and reports the findings.

use std::sync::Arc;

use super::{Context, secrets::require_way, task::Task};
use crate::{
    config::Values,
    error::{Error, Result},
    plugin::{Finding, TrainDriver},
};

/// Returns the findings of the train driver.
pub(super) async fn find(
    context: &Context,
    trainer: &TrainDriver<'_>,
    training: &Task,
    options: &Arc<Values>,
) -> Result<Vec<Finding>> {
    context.ui.stage(&format!("Checking {} for {}", training.project.artifact, trainer.name()));
    let findings = trainer.check(training.with(options, None)).await?;
    // The driver's own problem is more specific.
    if !findings.iter().any(Finding::is_problem) {
        require_way(trainer, options, &training.secrets)?;
    }
    Ok(findings)
}

/// Reports the findings.
///
/// # Errors
/// One of them is a problem.
pub(super) fn refuse(context: &Context, findings: &[Finding]) -> Result<()> {
    let mut problems = Vec::new();
    for finding in findings {
        match finding {
            Finding::Note(note) => context.ui.detail(note),
            Finding::Warning { message, fix } => context.ui.warning(&format!("{message}; {fix}")),
            Finding::Problem { message, fix } => problems.push((message, fix)),
            Finding::Cost { most: Some(most), basis } => {
                context.ui.detail(&format!("Costs at most {most:.2} USD: {basis}"));
            }
            Finding::Cost { most: None, basis } => context.ui.detail(&format!("Cost unknown: {basis}")),
        }
    }
    let mut problems = problems.into_iter();
    let Some((message, fix)) = problems.next() else { return Ok(()) };
    let error = Error::invalid(message.as_str()).hint(fix.as_str());
    let others: Vec<String> = problems.map(|(message, fix)| format!("{message}\n  {fix}")).collect();
    Err(if others.is_empty() { error } else { error.details(others.join("\n")) })
}
