use serde_json::json;

use crate::{
    error::Result,
    job::{Context, Record},
};

/// Show what a job's plugins asked for, and what was decided
///
/// Each verb that a driver called, on what, and whether it was allowed. A verb that one command repeats is one line.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Arguments {
    /// A job's name, or the tag of its newest
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
        context.ui.warning("the log is full: what was asked for later is not kept");
    }
    let text = context.ui.table(["TIME (UTC)", "CALL", "VERB", "ON", "DECISION"], &rows);
    context.ui.result(&text, json!({ "job": job, "verbs": verbs, "is_full": is_full }));
    Ok(())
}
