use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::completions;
use crate::{
    error::Result,
    job::{self, Context, Record},
    ui::{self, duration},
};

/// Show a job's status
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Name of a job, or a tag such as models/train for its newest job
    #[arg(add = completions::jobs_and_tags())]
    job: String,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let known = context.known(&record, &arguments.job).await?;
    let status = job::look(&record, &known).await?;
    let mut lines = vec![format!("{}: {}", known.job.name, status.state.name())];
    if let Some(detail) = &status.detail {
        lines.push(format!("  now:     {detail}"));
    }
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
    for phase in &status.phases {
        let time = Duration::from_millis(phase.end.unwrap_or(now).saturating_sub(phase.start));
        let start = i64::try_from(phase.start).ok().and_then(|start| Timestamp::from_millisecond(start).ok());
        let start = start.map(|start| start.strftime("%H:%M:%S").to_string()).unwrap_or_default();
        lines.push(format!("  {:24} {start}  {}", phase.name, duration(time)));
    }
    if let Some(seconds) = status.billable_seconds {
        let cost = status.cost.map(|cost| format!(", {cost:.2} USD")).unwrap_or_default();
        lines.push(format!("  billed:  {}{cost}", duration(Duration::from_secs(seconds))));
    }
    if let Some(reason) = &status.reason {
        lines.push(format!("  reason:  {reason}"));
    }
    let mut details = record.get(&known.job.name)?.map(|entry| entry.details).unwrap_or_default();
    if !details.arguments.is_empty() {
        lines.push(format!("  arguments: {}", job::typed(&details.arguments)));
    }
    if status.state.is_final() && !details.left_is_looked_for {
        // A missing log does not make this fail.
        details.left = job::left(&known).await;
        record.left(&known.job.name, details.left.as_ref())?;
    }
    if let Some(left) = &details.left {
        let files = left.lines();
        lines.push(if files.is_empty() { "  it left no files".to_owned() } else { "  it left:".to_owned() });
        lines.extend(files.iter().map(|line| format!("    {line}")));
    }
    let mut text = ui::lines(lines);
    let metrics = job::told_metrics(&details.metrics);
    if !metrics.is_empty() {
        text = format!("{text}\n{}", context.ui.metrics_table(&metrics));
    }
    context.ui.result(
        &text,
        json!({
            "job": known.job.name,
            "driver": known.driver.name(),
            "state": status.state.name(),
            "detail": status.detail,
            "reason": status.reason,
            "exit_code": status.exit_code,
            "phases": status.phases,
            "billable_seconds": status.billable_seconds,
            "cost_usd": status.cost,
            "nodes": status.nodes,
            "arguments": details.arguments,
            "code": details.code,
            "installed": details.installed,
            "metrics": details.metrics,
            "results": details.left,
        }),
    );
    Ok(())
}
