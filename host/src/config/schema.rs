//! What a driver declares of its options.

use std::borrow::Cow;

use super::{AwsSetting, Location, Value, is_scheme};

/// One option of a driver.
#[derive(Clone, Debug)]
pub struct OptionSpec {
    /// As in `--config.KEY=VALUE`.
    pub key: String,
    /// What a value must look like.
    pub kind: OptionType,
    /// One sentence.
    pub help: String,
    /// The user must give it.
    pub required: bool,
    /// Taken where the user gives none.
    pub default: Option<String>,
    /// The only values allowed; empty: any.
    pub choices: Vec<String>,
    /// The stores that a place may be of, such as `s3`.
    pub schemes: Vec<String>,
    /// Smallest and largest value of a number.
    pub range: (Option<i64>, Option<i64>),
    /// Never shown, logged or recorded.
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
    /// `s3://bucket/prefix`, or the like of another store. The run may read and write there.
    Location,
    /// `--config.KEY.NAME=`, and a place as for [`Self::Location`] or a folder of this machine, any number of them. The
    /// run may read there, and send what it reads.
    Inputs,
    /// `--config.KEY.NAME=REGULAR-EXPRESSION`, any number of them: what the log says of the training.
    Metrics,
    /// A role's name or ARN. The run may look it up and pass it on.
    Role,
    /// How the run meets AWS.
    Aws(AwsSetting),
}

impl OptionType {
    /// It takes any number of values, each with a name.
    pub const fn is_named(self) -> bool {
        matches!(self, Self::Entries | Self::Inputs | Self::Metrics)
    }
}

impl OptionSpec {
    /// An option of which nothing but key, type and help is known.
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

    /// What a value looks like, as `driver show` prints it.
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

    /// Which values are allowed of those that look so; none where all are.
    pub fn allowed(&self) -> Option<String> {
        match (self.choices.as_slice(), self.range) {
            ([], (None, None)) => None,
            ([], (Some(least), None)) => Some(format!("at least {least}")),
            ([], (None, Some(most))) => Some(format!("at most {most}")),
            ([], (Some(least), Some(most))) => Some(format!("{least} to {most}")),
            (choices, _) => Some(choices.join(", ")),
        }
    }

    /// One value, typed.
    ///
    /// # Errors
    /// What is wrong with it, without naming the option.
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
                let path = std::path::absolute(text).map_err(|_| format!("`{text}` is no folder"))?;
                let path = path.into_os_string().into_string();
                path.map(Value::Text).map_err(|_| format!("`{text}` is no name that can be sent"))
            }
            OptionType::Location | OptionType::Inputs => {
                Location::of(text, &self.schemes).map(|place| Value::Text(place.to_string()))
            }
            OptionType::Role if text.trim().is_empty() => Err("a role has a name".into()),
            OptionType::Role => Ok(Value::Text(text.to_owned())),
            OptionType::Aws(setting) => setting.parse(text).map(Value::Text),
        }
    }

    fn in_range(&self, number: f64) -> Result<(), String> {
        let (least, most) = self.range;
        match () {
            () if least.is_some_and(|least| number < least as f64) => {
                Err(format!("{number} is below {}", least.unwrap_or_default()))
            }
            () if most.is_some_and(|most| number > most as f64) => {
                Err(format!("{number} is above {}", most.unwrap_or_default()))
            }
            () => Ok(()),
        }
    }
}

/// It is meant as a place in a store, and not as a folder.
pub(super) fn is_place(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}
