//! The command line's own spelling of options: `--config.KEY=VALUE`, which clap does not know.

use std::{ffi::OsString, str::FromStr};

/// One `KEY=VALUE` as the user gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// With underscores, as drivers declare it; the part after the first dot is left as it is.
    pub key: String,
    /// Everything after the first `=`.
    pub value: String,
    /// Where the user gave it.
    pub origin: Origin,
}

/// Who gave an option its value. The authority of a run follows from this alone.
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
    /// The place to look at, for a person.
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

/// Turns `--config.KEY=VALUE` and `--config.KEY VALUE` into `-c KEY=VALUE`, up to a `--`.
pub fn spell_out(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut out = Vec::with_capacity(arguments.len());
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            out.push(argument);
            out.extend(rest);
            break;
        }
        let Some(assignment) = argument.to_str().and_then(|text| text.strip_prefix("--config.")) else {
            out.push(argument);
            continue;
        };
        out.push("-c".into());
        if assignment.contains('=') {
            out.push(assignment.into());
        } else {
            let mut joined = OsString::from(assignment);
            if let Some(value) = rest.next() {
                joined.push("=");
                joined.push(value);
            }
            out.push(joined);
        }
    }
    out
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
    fn keys_may_be_written_with_dashes() {
        let assignment: Assignment = "output-path=s3://a-b/c".parse().unwrap();
        assert_eq!((assignment.key.as_str(), assignment.value.as_str()), ("output_path", "s3://a-b/c"));
        let assignment: Assignment = "hyper-parameters.learning-rate=1".parse().unwrap();
        assert_eq!(assignment.key, "hyper_parameters.learning-rate");
        assert!("novalue".parse::<Assignment>().is_err());
        assert!("=v".parse::<Assignment>().is_err());
    }
}
