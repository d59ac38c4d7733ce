use serde_json::{Value, json};

use super::completions;
use crate::{
    error::Result,
    job::{self, Context, Record},
};

/// Show the differences between two jobs
///
/// Compares options, code, image, installed packages, drivers, metrics, times and cost, as far as this machine knows them.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Name of a job, or a tag such as models/train for its newest job
    #[arg(add = completions::jobs_and_tags())]
    a: String,

    /// Name or tag of the other job
    #[arg(add = completions::jobs_and_tags())]
    b: String,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let record = Record::open(&context.environment)?;
    let current = &context.environment.current;
    let (a, b) = (record.find(&arguments.a, current)?, record.find(&arguments.b, current)?);
    let differences = job::diff(&a, &b);
    let rows: Vec<[String; 3]> = differences
        .iter()
        .map(|difference| [difference.what.clone(), shown(&difference.a), shown(&difference.b)])
        .collect();
    let text = if rows.is_empty() {
        format!("no known differences between {} and {}", a.name, b.name)
    } else {
        context.ui.table(["", &a.name, &b.name], &rows)
    };
    context.ui.result(&text, json!({ "a": a.name, "b": b.name, "differences": differences }));
    Ok(())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
