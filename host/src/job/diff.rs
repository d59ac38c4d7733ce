//! Compares two jobs: their options, their inputs and their outcomes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Entry, typed};
use crate::config::Shown;

/// A difference between two jobs.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// What differs, such as `option hyperparameters.lr`, `installed numpy` or `metric loss`.
    pub what: String,
    /// The first job's value; null if it has none.
    pub a: Value,
    /// The second job's value.
    pub b: Value,
}

/// Returns all differences, those of options first.
pub fn diff(a: &Entry, b: &Entry) -> Vec<Difference> {
    let (of_a, of_b) = (facts(a), facts(b));
    let known: Vec<&String> = of_a.iter().map(|(what, _)| what).collect();
    let only_b = of_b.iter().filter(|(what, _)| !known.contains(&what));
    let names = of_a.iter().chain(only_b).map(|(what, _)| what);
    let value = |facts: &[(String, Value)], what: &str| {
        facts.iter().find(|(name, _)| name == what).map_or(Value::Null, |(_, value)| value.clone())
    };
    let differences =
        names.map(|what| Difference { what: what.clone(), a: value(&of_a, what), b: value(&of_b, what) });
    // Masked values may differ, too.
    differences.filter(|difference| difference.a != difference.b).map(Difference::shown).collect()
}

impl Difference {
    fn shown(mut self) -> Self {
        if let Some((_, option)) = self.what.split_once("option ") {
            for value in [&mut self.a, &mut self.b] {
                if let Value::String(text) = value {
                    *text = Shown::value(option, text).to_owned();
                }
            }
        }
        self
    }
}

/// All facts about a job, in the order in which they are shown.
fn facts(entry: &Entry) -> Vec<(String, Value)> {
    let details = &entry.details;
    let mut facts: Vec<(String, Value)> = vec![
        ("artifact".into(), json!(entry.artifact)),
        ("arguments".into(), json!(typed(&details.arguments))),
        ("model".into(), json!(details.model)),
        ("secrets".into(), json!(details.secrets.join(" "))),
        ("driver".into(), json!(entry.driver)),
        ("driver digest".into(), json!(details.driver_digest)),
        ("build driver".into(), json!(details.build_driver)),
    ];
    // The last one wins, as on the command line.
    let options: BTreeMap<&String, &String> = entry.options.iter().map(|(key, value)| (key, value)).collect();
    facts.extend(options.into_iter().map(|(key, value)| (format!("option {key}"), json!(value))));
    let options = details.build_options.iter();
    facts.extend(options.map(|(key, value)| (format!("build option {key}"), json!(value))));
    facts.push(("code".into(), json!(details.code)));
    facts.push(("image".into(), json!(entry.image)));
    for line in details.installed.iter().flatten() {
        let (name, version) = line.split_once("==").or_else(|| line.split_once(" @ ")).unwrap_or((line, ""));
        facts.push((format!("installed {name}"), json!(version)));
    }
    facts.push(("state".into(), json!(entry.state)));
    let last = details.metrics.iter().map(|(name, series)| (format!("metric {name}"), json!(series.last)));
    facts.extend(last);
    let outcome = &details.outcome;
    facts.push(("exit code".into(), json!(outcome.exit_code)));
    facts.push(("seconds".into(), json!(entry.finished.map(|_| entry.seconds()))));
    facts.push(("billed seconds".into(), json!(outcome.billable_seconds)));
    facts.push(("cost in USD".into(), json!(outcome.cost_usd)));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    use crate::{
        job::{Details, RecordedState},
        plugin::JobState,
    };

    fn job(options: &[(&str, &str)], installed: &[&str]) -> Entry {
        Entry {
            name: "a".into(),
            tag: "t".into(),
            artifact: "/x/train.py".into(),
            driver: "local".into(),
            options: options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            fingerprint: String::new(),
            image: None,
            reference: None,
            state: RecordedState::Seen(JobState::Completed),
            reason: None,
            created: Timestamp::UNIX_EPOCH,
            finished: None,
            told: true,
            details: Details {
                installed: Some(installed.iter().map(|line| (*line).to_owned()).collect()),
                ..Details::default()
            },
        }
    }

    #[test]
    fn only_differences_are_returned() {
        let a = job(&[("lr", "1"), ("epochs", "3")], &["numpy==1.0", "old==2"]);
        let b = job(&[("lr", "2"), ("epochs", "3"), ("seed", "7")], &["numpy==1.1", "new @ https://x"]);
        let found: Vec<_> = diff(&a, &b).into_iter().map(|one| (one.what, one.a, one.b)).collect();
        let expected = [
            ("option lr", json!("1"), json!("2")),
            ("installed numpy", json!("1.0"), json!("1.1")),
            ("installed old", json!("2"), Value::Null),
            ("option seed", Value::Null, json!("7")),
            ("installed new", Value::Null, json!("https://x")),
        ];
        assert_eq!(found, expected.map(|(what, a, b)| (what.to_owned(), a, b)));
        assert!(diff(&a, &a).is_empty());
    }

    #[test]
    fn a_value_that_is_not_shown_is_told_to_differ() {
        let (a, b) = (job(&[("environment.A_KEY", "x")], &[]), job(&[("environment.A_KEY", "y")], &[]));
        let found = diff(&a, &b);
        assert_eq!((found.len(), &found[0].a, &found[0].b), (1, &json!("***"), &json!("***")));
        assert_eq!(json!(a)["options"], json!([["environment.A_KEY", "***"]]));
    }
}
