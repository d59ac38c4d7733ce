use serde_json::{Value, json};

use super::training::Training;
use crate::{
    config::{Designation, Origin},
    error::{Error, Kind, Result},
    job::{self, Checked, Context},
    plugin::Finding,
    ui,
};

/// Check a run before starting it, and estimate its cost
///
/// Queries the service and the account, inspects this machine, and shows the request and the maximum cost. Builds, sends
/// and spends nothing. Exits with 0 unless there is a problem; warnings do not count. `fit` runs the same checks.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    training: Training,
}

const EXAMPLES: &str = "\
Examples:
  Check a run on SageMaker:
    alekseylearn check models/train.py --train-driver sagemaker \\
        --config.output_path=s3://bucket/path --config.role_name=role";

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<()> {
    let fit = arguments.training.asked(false, true);
    let checked = super::interruptible(job::check(context, &fit), "nothing was changed").await?;
    context.ui.result(&told(context, &checked), data(&checked));
    let kind = checked.error.as_ref().map_or(Kind::Invalid, Error::kind);
    let error = match checked.findings.iter().filter(|finding| finding.is_problem()).count() {
        0 => return Ok(()),
        1 => Error::new(kind, "the run would fail").hint("see the problem and its fix above"),
        many => Error::new(kind, format!("the run would fail: {many} problems found"))
            .hint("see the problems and their fixes above"),
    };
    Err(match checked.error.as_ref().and_then(Error::details_text) {
        Some(details) => error.details(details),
        None => error,
    })
}

fn told(context: &Context, checked: &Checked) -> String {
    let mut text = ui::lines(checked.findings.iter().map(line));
    if !checked.touches.is_empty() {
        text = format!("{text}\n\n{}", touches(context, &checked.touches));
    }
    if let Some(plan) = &checked.plan {
        let request = serde_json::to_string_pretty(&plan.request).unwrap_or_default();
        text = format!("{text}\n\nRequest to {}\n{request}", checked.train_driver);
    }
    text
}

/// One finding, as a line of text.
pub(super) fn line(finding: &Finding) -> String {
    match finding {
        Finding::Problem { message, fix } => format!("problem  {message} — {fix}"),
        Finding::Warning { message, fix } => format!("warning  {message} — {fix}"),
        Finding::Note(note) => format!("ok       {note}"),
        Finding::Cost { most: Some(most), basis } => format!("cost     at most {most:.2} USD: {basis}"),
        Finding::Cost { most: None, basis } => format!("cost     unknown: {basis}"),
    }
}

fn data(checked: &Checked) -> Value {
    json!({
        "train_driver": checked.train_driver,
        "touches": touches_data(&checked.touches),
        "findings": findings(&checked.findings),
        "cost": cost(&checked.findings),
        "request": checked.plan.as_ref().map(|plan| &plan.request),
    })
}

/// A table of what a run may touch, and what set each.
pub(super) fn touches(context: &Context, touches: &[Designation]) -> String {
    let row = |touched: &Designation| {
        let by = match &touched.by {
            Origin::CommandLine => format!("--config.{}", touched.option),
            other => format!("{}, from {}", touched.option, other.place()),
        };
        [format!("  {}", touched.thing.name()), touched.thing.to_string(), by]
    };
    let rows: Vec<_> = touches.iter().map(row).collect();
    format!("The run may touch\n{}", context.ui.table(["  WHAT", "VALUE", "SET BY"], &rows))
}

/// The same for `--json`.
pub(super) fn touches_data(touches: &[Designation]) -> Value {
    let touched = |touched: &Designation| {
        json!({
            "what": touched.thing.name(),
            "which": touched.thing.to_string(),
            "option": touched.option,
            "by": touched.by.name(),
            "place": touched.by.place(),
        })
    };
    touches.iter().map(touched).collect()
}

/// All findings except the cost, for `--json`.
pub(super) fn findings(findings: &[Finding]) -> Value {
    let finding = |finding: &Finding| match finding {
        Finding::Problem { message, fix } => {
            Some(json!({ "kind": "problem", "message": message, "fix": fix }))
        }
        Finding::Warning { message, fix } => {
            Some(json!({ "kind": "warning", "message": message, "fix": fix }))
        }
        Finding::Note(note) => Some(json!({ "kind": "note", "message": note, "fix": null })),
        Finding::Cost { .. } => None,
    };
    findings.iter().filter_map(finding).collect()
}

/// The cost for `--json`; null if the service charges nothing.
pub(super) fn cost(findings: &[Finding]) -> Value {
    let cost = |finding: &Finding| match finding {
        Finding::Cost { most, basis } => Some(json!({ "max_usd": most, "basis": basis })),
        _ => None,
    };
    findings.iter().find_map(cost).unwrap_or_default()
}
