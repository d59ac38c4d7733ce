use serde_json::json;

use crate::{
    error::Result,
    job::{Context, Record},
};

/// Show what a job's plugins requested, and what was allowed
///
/// Lists each verb that a driver called, its target, and the decision. Repeated calls of one command are one line.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// Name of a job, or a tag such as models/train for its newest job
    #[arg(add = crate::commands::completions::jobs_and_tags())]
    job: String,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let job = Record::open(&context.environment)?.find(&arguments.job, &context.environment.current)?.name;
    let audit = context.plugins.audit();
    let verbs = audit.read(&job)?;
    let rows: Vec<[String; 5]> = verbs
        .iter()
        .map(|verb| {
            let decision = match &verb.reason {
                Some(reason) => format!("denied: {reason}"),
                None => "allowed".to_owned(),
            };
            let time = verb.time.get(..19).unwrap_or(&verb.time).replace('T', " ");
            let call = format!("{} {}", verb.plugin, verb.call);
            [time, call, verb.verb.clone(), verb.on.clone(), decision]
        })
        .collect();
    let is_full = audit.is_full(&job);
    if is_full {
        context.ui.warning("the audit log is full: later calls were not recorded");
    }
    let text = context.ui.table(["TIME (UTC)", "CALL", "VERB", "ON", "DECISION"], &rows);
    context.ui.result(&text, json!({ "job": job, "verbs": verbs, "is_full": is_full }));
    Ok(())
}
