//! Explains why a script refused its arguments, if hyperparameters are the cause: they are passed as `--NAME VALUE`,
//! which not every script accepts.

use super::Entry;
use crate::shell::{command, quote};

/// How command-line parsers report an unknown argument.
const UNKNOWN: [&str; 4] =
    ["unrecognized arguments:", "o such option", "Unknown command line flag", "Could not consume arg"];

/// A hint if the last lines of the log show that the script refused its arguments.
pub(super) fn for_arguments(entry: &Entry, log: &[String]) -> Option<String> {
    let refusal = log.iter().rev().find(|line| UNKNOWN.iter().any(|said| line.contains(said)));
    let names =
        |said: &str, argument: &str| said.split([' ', ':', '\'', '"', '`', ',']).any(|word| word == argument);
    let fit = format!("alekseylearn fit {} --", quote(&entry.artifact));
    for (name, value) in hyperparameters(entry) {
        if let Some(refusal) = refusal {
            if name.chars().count() == 1 && names(refusal, &format!("-{name}")) {
                return Some(format!(
                    "a one-letter hyperparameter is passed as -{name}; for --{name}, give the arguments yourself: \
                     `{fit} --{name} {}`",
                    quote(value)
                ));
            }
            if ["true", "false", ""].contains(&value.to_lowercase().as_str()) && names(refusal, value) {
                return Some(format!(
                    "if --{name} takes no value, omit it: `--config.hyperparameters.{name}`, or give the arguments \
                     yourself: `{fit} --{name}`"
                ));
            }
        }
        let expects =
            |line: &&String| line.contains("expected") && line.contains("argument") && line.contains(name);
        if value.starts_with('-') && log.iter().any(|line| expects(&line)) {
            let argument = format!("--{name}={value}");
            return Some(format!(
                "the script reads `{value}` as another option; join name and value: `{fit} {}`",
                quote(&argument)
            ));
        }
    }
    refusal.filter(|_| hyperparameters(entry).next().is_some()).map(|_| {
        format!("hyperparameters are passed as --NAME VALUE; give the arguments after `--` instead: `{fit} ARGUMENTS`")
    })
}

fn hyperparameters(entry: &Entry) -> impl Iterator<Item = (&str, &str)> {
    let options = entry.options.iter();
    options.filter_map(|(key, value)| Some((key.strip_prefix("hyperparameters.")?, value.as_str())))
}

/// Quotes arguments for a shell.
pub fn typed(arguments: &[String]) -> String {
    command(arguments.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    use crate::{
        job::{Details, RecordedState},
        plugin::JobState,
    };

    fn entry(hyperparameters: &[(&str, &str)]) -> Entry {
        let option = |(name, value): &(&str, &str)| (format!("hyperparameters.{name}"), (*value).to_owned());
        Entry {
            name: "a".into(),
            tag: "t".into(),
            artifact: "/x/my train.py".into(),
            driver: "local".into(),
            options: hyperparameters.iter().map(option).collect(),
            fingerprint: String::new(),
            image: None,
            reference: None,
            state: RecordedState::Seen(JobState::Failed),
            reason: None,
            created: Timestamp::UNIX_EPOCH,
            finished: None,
            told: true,
            details: Details::default(),
        }
    }

    #[test]
    fn a_refused_argument_gets_a_hint() {
        for (given, line, advice) in [
            (("C", "0.5"), "train.py: error: unrecognized arguments: -C 0.5", "-- --C 0.5`"),
            (("C", "0.5"), "Error: No such option: -C", "-- --C 0.5`"),
            (("fp16", "true"), "train.py: error: unrecognized arguments: true", "-- --fp16`"),
            (("mpi", "-x"), "train.py: error: argument --mpi: expected one argument", "-- --mpi=-x`"),
            (("layers", "1 2"), "train.py: error: unrecognized arguments: --layers 1 2", "-- ARGUMENTS`"),
        ] {
            let found = for_arguments(&entry(&[given]), &["usage: train.py".into(), line.into()]).unwrap();
            assert!(found.contains("fit '/x/my train.py' ") && found.ends_with(advice), "{found}");
        }
        assert_eq!(for_arguments(&entry(&[("lr", "1")]), &["ValueError: no".into()]), None);
        assert_eq!(for_arguments(&entry(&[]), &["error: unrecognized arguments: -C".into()]), None);
    }
}
