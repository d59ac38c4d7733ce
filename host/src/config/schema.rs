//! The options that a driver declares.

use std::{borrow::Cow, collections::BTreeSet};

use super::{AwsSetting, Location, Value, is_scheme};

/// One option of a driver.
#[derive(Clone, Debug)]
pub struct OptionSpec {
    /// The key, as in `--config.KEY=VALUE`.
    pub key: String,
    /// The type of the value.
    pub kind: OptionType,
    /// The help text: one sentence.
    pub help: String,
    /// Whether the user must set it.
    pub required: bool,
    /// The default value.
    pub default: Option<String>,
    /// The allowed values; empty if all are allowed.
    pub choices: Vec<String>,
    /// The allowed stores of a location, such as `s3`.
    pub schemes: Vec<String>,
    /// The minimum and maximum of a number.
    pub range: (Option<i64>, Option<i64>),
    /// Whether the value is secret: never shown, logged or recorded.
    pub secret: bool,
}

/// The type of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionType {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `--config.KEY.NAME=VALUE`, any number of them.
    Entries,
    /// A location such as `s3://bucket/prefix`. The run may read and write there.
    Location,
    /// `--config.KEY.NAME=VALUE`, any number of them: locations as for [`Self::Location`], or folders of this machine. The
    /// run may read and send their content.
    Inputs,
    /// `--config.KEY.NAME=REGULAR-EXPRESSION`, any number of them: metrics to find in the log.
    Metrics,
    /// A role's name or ARN. The run may look it up and pass it to the service.
    Role,
    /// A setting of the run's access to AWS.
    Aws(AwsSetting),
}

impl OptionType {
    /// The function of the contract that reads a value of this type.
    pub const fn reader(self) -> &'static str {
        match self {
            Self::Text | Self::Location | Self::Role | Self::Aws(_) => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Entries | Self::Inputs | Self::Metrics => "entries",
        }
    }

    /// Whether it takes any number of values, each with a name.
    pub const fn is_named(self) -> bool {
        matches!(self, Self::Entries | Self::Inputs | Self::Metrics)
    }
}

impl OptionSpec {
    /// An option with only a key, a type and a help text.
    pub fn new(kind: OptionType, key: String, help: String) -> Self {
        Self {
            key,
            kind,
            help,
            required: false,
            default: None,
            choices: Vec::new(),
            schemes: Vec::new(),
            range: (None, None),
            secret: false,
        }
    }

    /// The form of a value, as `driver show` prints it.
    pub fn form(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.kind {
            OptionType::Text => "text",
            OptionType::Integer => "integer",
            OptionType::Number => "number",
            OptionType::Boolean => "true|false",
            OptionType::Entries => "NAME=VALUE…",
            OptionType::Location => return Cow::Owned(Location::forms(&self.schemes, "…")),
            OptionType::Inputs => "NAME=PLACE",
            OptionType::Metrics => "NAME=REGEX…",
            OptionType::Role => "role",
            OptionType::Aws(AwsSetting::Profile) => "profile",
            OptionType::Aws(AwsSetting::Region) => "region",
            OptionType::Aws(AwsSetting::Endpoint) => "https://…",
        })
    }

    /// The allowed values of this form; `None` if all are allowed.
    pub fn allowed(&self) -> Option<String> {
        match (self.choices.as_slice(), self.range) {
            ([], (None, None)) => None,
            ([], (Some(least), None)) => Some(format!("at least {least}")),
            ([], (None, Some(most))) => Some(format!("at most {most}")),
            ([], (Some(least), Some(most))) => Some(format!("{least} to {most}")),
            (choices, _) => Some(choices.join(", ")),
        }
    }

    /// Parses a value.
    ///
    /// # Errors
    /// What is wrong with the value, without the option's name.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        if !self.choices.is_empty() && !self.choices.iter().any(|choice| choice == text) {
            return Err(format!("`{text}` is not one of {}", self.choices.join(", ")));
        }
        match self.kind {
            OptionType::Text | OptionType::Entries | OptionType::Metrics => Ok(Value::Text(text.to_owned())),
            OptionType::Integer => {
                let number: i64 = text.parse().map_err(|_| format!("`{text}` is not a whole number"))?;
                self.in_range(number as f64).map(|()| Value::Integer(number))
            }
            OptionType::Number => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => self.in_range(number).map(|()| Value::Number(number)),
                _ => Err(format!("`{text}` is not a number")),
            },
            OptionType::Boolean => match text {
                "true" | "yes" | "1" => Ok(Value::Boolean(true)),
                "false" | "no" | "0" => Ok(Value::Boolean(false)),
                _ => Err(format!("`{text}` is neither true nor false")),
            },
            OptionType::Inputs if !is_place(text) => {
                let path = std::path::absolute(text).map_err(|_| format!("`{text}` is not a folder"))?;
                let path = path.into_os_string().into_string();
                path.map(Value::Text).map_err(|_| format!("the path of `{text}` is not UTF-8"))
            }
            OptionType::Location | OptionType::Inputs => {
                Location::of(text, &self.schemes).map(|place| Value::Text(place.to_string()))
            }
            OptionType::Role if text.trim().is_empty() => Err("the role is empty".into()),
            OptionType::Role => Ok(Value::Text(text.to_owned())),
            OptionType::Aws(setting) => setting.parse(text).map(Value::Text),
        }
    }

    fn in_range(&self, number: f64) -> Result<(), String> {
        let (least, most) = self.range;
        if least.is_some_and(|least| number < least as f64) {
            Err(format!("{number} is below {}", least.unwrap_or_default()))
        } else if most.is_some_and(|most| number > most as f64) {
            Err(format!("{number} is above {}", most.unwrap_or_default()))
        } else {
            Ok(())
        }
    }
}

/// Checks the options that a driver declares.
///
/// # Errors
/// The first option that no value can satisfy, or whose key is not valid or not unique, and why.
pub fn check_specs(specs: &[OptionSpec]) -> Result<(), String> {
    let mut keys = BTreeSet::new();
    for spec in specs {
        let key = &spec.key;
        if !is_key(key) {
            return Err(format!(
                "its option `{key}` has an invalid key: use lower-case letters, digits and underscores"
            ));
        }
        if !keys.insert(key) {
            return Err(format!("it declares the option {key} twice"));
        }
        spec.check().map_err(|problem| format!("its option {key} {problem}"))?;
    }
    Ok(())
}

/// Whether a key can be written after `--config.` and in a file.
fn is_key(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (1..=64).contains(&key.len())
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(plain)
}

impl OptionSpec {
    fn check(&self) -> Result<(), String> {
        let (least, most) = self.range;
        let is_number = matches!(self.kind, OptionType::Integer | OptionType::Number);
        if (least.is_some() || most.is_some()) && !is_number {
            return Err("has a range, but is not a number".to_owned());
        }
        if least.is_some_and(|least| most.is_some_and(|most| least > most)) {
            return Err("has an empty range".to_owned());
        }
        if self.kind.is_named() && (self.default.is_some() || self.required) {
            return Err("takes any number of values, so it cannot have a default or be required".to_owned());
        }
        for choice in &self.choices {
            self.parse(choice).map_err(|problem| format!("has an invalid choice: {problem}"))?;
        }
        if let Some(default) = &self.default {
            self.parse(default).map_err(|problem| format!("has an invalid default: {problem}"))?;
        }
        Ok(())
    }
}

/// Whether a text is a location in a store, not a folder.
pub(super) fn is_place(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_no_value_fits_is_refused() {
        let spec = |kind, key: &str| OptionSpec::new(kind, key.into(), "A value".into());
        let text = || spec(OptionType::Text, "mode");
        let count = || spec(OptionType::Integer, "count");
        let default = |spec: OptionSpec, value: &str| OptionSpec { default: Some(value.into()), ..spec };
        let place = OptionSpec { schemes: vec!["s3".into()], ..spec(OptionType::Location, "place") };
        let good = [default(text(), "a"), default(count(), "3"), default(place.clone(), "s3://bucket")];
        assert_eq!(check_specs(&good), Ok(()));
        for (wrong, says) in [
            (vec![text(), text()], "declares the option mode twice"),
            (vec![spec(OptionType::Text, "Bad Key!")], "has an invalid key"),
            (vec![spec(OptionType::Text, "")], "has an invalid key"),
            (vec![spec(OptionType::Text, "a.b")], "has an invalid key"),
            (vec![default(count(), "many")], "`many` is not a whole number"),
            (vec![default(place, "gs://bucket")], "is not of the form s3://"),
            (vec![OptionSpec { range: (Some(1), None), ..default(count(), "0") }], "is below 1"),
            (vec![OptionSpec { range: (Some(2), Some(1)), ..count() }], "an empty range"),
            (vec![OptionSpec { range: (Some(2), None), ..text() }], "a range, but is not a number"),
            (vec![OptionSpec { choices: vec!["x".into()], ..count() }], "an invalid choice"),
            (vec![OptionSpec { choices: vec!["x".into()], ..default(text(), "y") }], "is not one of x"),
            (vec![default(spec(OptionType::Entries, "labels"), "x")], "cannot have a default"),
        ] {
            let problem = check_specs(&wrong).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
    }
}
