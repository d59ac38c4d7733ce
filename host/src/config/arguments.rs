//! The syntax `--config.KEY=VALUE` for driver options, which clap does not support.

use std::{ffi::OsString, str::FromStr};

/// One `KEY=VALUE`, as the user gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The key with underscores, as drivers declare it. The part after the first dot is unchanged.
    pub key: String,
    /// Everything after the first `=`.
    pub value: String,
    /// Where the value comes from.
    pub origin: Origin,
}

/// The source of an option's value. It decides what a run may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The user, as `--config.KEY=VALUE`.
    CommandLine,
    /// The user, when the job was submitted.
    Record,
    /// The user's own file: the section and line.
    UserFile(String),
    /// A project's file: the section and line.
    ProjectFile(String),
    /// The driver: its own default.
    Driver,
}

impl Origin {
    /// The place, for a person.
    pub fn place(&self) -> &str {
        match self {
            Self::CommandLine => "the command line",
            Self::Record => "the job's record",
            Self::UserFile(section) | Self::ProjectFile(section) => section,
            Self::Driver => "the driver's default",
        }
    }

    /// The kind of place, for a program.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CommandLine => "command-line",
            Self::Record => "record",
            Self::UserFile(_) => "user-file",
            Self::ProjectFile(_) => "project-file",
            Self::Driver => "driver-default",
        }
    }
}

impl Assignment {
    /// The option as the user wrote it, for an error.
    pub fn shown(&self) -> String {
        match &self.origin {
            Origin::CommandLine | Origin::Record | Origin::Driver => format!("--config.{}", self.key),
            Origin::UserFile(section) | Origin::ProjectFile(section) => format!("{} in {section}", self.key),
        }
    }
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not KEY=VALUE"))?;
        let (first, rest) = match key.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (key, None),
        };
        if first.is_empty() || rest == Some("") {
            return Err(format!("`{text}` has an empty key"));
        }
        let first = first.replace('-', "_");
        Ok(Self {
            key: rest.map_or(first.clone(), |rest| format!("{first}.{rest}")),
            value: value.to_owned(),
            origin: Origin::CommandLine,
        })
    }
}

/// Keys with this prefix need no value: without one, they are flags of the script.
const FLAGS: &str = "hyperparameters.";
/// The hidden option that takes the name of a flag.
pub const FLAG: &str = "hyperparameter-flag";

/// Rewrites `--config.KEY=VALUE` and `--config.KEY VALUE` as `-c KEY=VALUE`, and a hyperparameter without a value as a flag,
/// up to a `--`.
pub fn spell_out(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut out = Vec::with_capacity(arguments.len());
    let mut rest = arguments.into_iter().peekable();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            out.push(argument);
            out.extend(rest);
            break;
        }
        let text = argument.to_str().unwrap_or_default();
        if let Some(assignment) = text.strip_prefix("--config.") {
            let value = if assignment.contains('=') {
                None
            } else {
                rest.next_if(|next| !assignment.starts_with(FLAGS) || is_value(next))
            };
            match (flag(assignment), value) {
                (Some(flag), None) => out.push(flag),
                (_, None) => out.extend(["-c".into(), assignment.into()]),
                (_, Some(value)) => {
                    let mut joined = OsString::from(format!("{assignment}="));
                    joined.push(value);
                    out.extend(["-c".into(), joined]);
                }
            }
        } else if let Some(flag) = text.strip_prefix("--config=").or(text.strip_prefix("-c")).and_then(flag) {
            out.push(flag);
        } else if matches!(text, "-c" | "--config")
            && let Some(flag) = rest.peek().and_then(|next| flag(next.to_str()?))
        {
            rest.next();
            out.push(flag);
        } else {
            out.push(argument);
        }
    }
    out
}

/// The hidden option for a hyperparameter without a value.
fn flag(assignment: &str) -> Option<OsString> {
    let name = assignment.strip_prefix(FLAGS).filter(|name| !name.is_empty() && !name.contains('='))?;
    Some(format!("--{FLAG}={name}").into())
}

/// Whether the word after a hyperparameter's name is its value, not the next option: `-5` is a value.
fn is_value(next: &OsString) -> bool {
    let text = next.to_string_lossy();
    let after = text.strip_prefix('-').and_then(|rest| rest.chars().next());
    after.is_none_or(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(line: &str) -> String {
        let words = spell_out(line.split(' ').map(OsString::from).collect());
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn all_spellings_become_one() {
        assert_eq!(spelled("fit a.py --config.k=v"), "fit a.py -c k=v");
        assert_eq!(spelled("fit --config.k v a.py"), "fit -c k=v a.py");
        assert_eq!(spelled("fit --config.k=a=b"), "fit -c k=a=b");
        assert_eq!(spelled("fit --config.k -5"), "fit -c k=-5");
        assert_eq!(spelled("fit -- --config.k=v"), "fit -- --config.k=v");
        assert_eq!(spelled("fit --config.k"), "fit -c k");
    }

    #[test]
    fn a_hyperparameter_without_a_value_is_a_flag() {
        let flag = "--hyperparameter-flag=no-accel";
        for line in [
            "--config.hyperparameters.no-accel",
            "-c hyperparameters.no-accel",
            "-chyperparameters.no-accel",
            "--config hyperparameters.no-accel",
            "--config=hyperparameters.no-accel",
        ] {
            assert_eq!(spelled(line), flag);
            assert_eq!(spelled(&format!("fit {line} --json")), format!("fit {flag} --json"));
            assert_eq!(
                spelled(&format!("{line}=")),
                "-c hyperparameters.no-accel=".replace(
                    "-c ",
                    match line {
                        line if line.starts_with("--config.") => "-c ",
                        line => line.strip_suffix("hyperparameters.no-accel").unwrap_or_default(),
                    }
                )
            );
        }
        assert_eq!(spelled("--config.hyperparameters.a -5 x"), "-c hyperparameters.a=-5 x");
        assert_eq!(spelled("--config.hyperparameters.a b"), "-c hyperparameters.a=b");
        assert_eq!(spelled("-- -c hyperparameters.a"), "-- -c hyperparameters.a");
    }

    #[test]
    fn keys_may_be_written_with_dashes() {
        let assignment: Assignment = "output-path=s3://a-b/c".parse().unwrap();
        assert_eq!((assignment.key.as_str(), assignment.value.as_str()), ("output_path", "s3://a-b/c"));
        let assignment: Assignment = "hyper-parameters.learning-rate=1".parse().unwrap();
        assert_eq!(assignment.key, "hyper_parameters.learning-rate");
        assert!("novalue".parse::<Assignment>().is_err());
        assert!("=v".parse::<Assignment>().is_err());
    }
}
