//! The driver's options and their limits, by the service's own model.

use alekseylearn_sdk::{Error, Finding, OptionSpec, Values};

/// What the documentation of the training contract allows for a value.
const LONGEST_HYPERPARAMETER: usize = 256;
const MOST_HYPERPARAMETERS: usize = 100;
const LONGEST_VARIABLE: usize = 512;
/// 28 days, the service's own limit.
const LONGEST_RUNTIME: i64 = 28 * 24 * 3600;

pub(crate) fn specs() -> Vec<OptionSpec> {
    let output_path = OptionSpec::s3_location("output_path", "Where the results go, as s3://bucket/path");
    output_path.require();
    let role_name = OptionSpec::role("role_name", "Role that SageMaker runs the job as");
    role_name.require();
    let instance_type = OptionSpec::text("train_instance_type", "Kind of instance");
    instance_type.default("ml.c4.2xlarge");
    let instance_count = OptionSpec::integer("train_instance_count", "Number of instances");
    instance_count.default("1");
    instance_count.range(Some(1), None);
    let volume_size = OptionSpec::integer("volume_size", "Disk of an instance in GiB");
    volume_size.default("30");
    volume_size.range(Some(1), Some(16_384));
    let max_runtime = OptionSpec::integer("max_runtime", "Seconds after which the job is stopped");
    max_runtime.default("14400");
    max_runtime.range(Some(1), Some(LONGEST_RUNTIME));
    vec![
        output_path,
        role_name,
        instance_type,
        instance_count,
        volume_size,
        max_runtime,
        OptionSpec::entries(
            "hyperparameters",
            "Arguments of the script, as --config.hyperparameters.NAME=VALUE",
        ),
        OptionSpec::entries("environment", "Variables of the container, as --config.environment.NAME=VALUE"),
    ]
}

/// The options of one run.
pub(crate) struct Options {
    pub(crate) output_path: String,
    pub(crate) role_name: String,
    pub(crate) instance_type: String,
    pub(crate) instance_count: u32,
    pub(crate) volume_size: u32,
    pub(crate) max_runtime: u32,
    pub(crate) hyperparameters: Vec<(String, String)>,
    pub(crate) environment: Vec<(String, String)>,
}

impl Options {
    pub(crate) fn of(values: &Values) -> Result<Self, Error> {
        let missing = |key: &str| Error::invalid(format!("--config.{key} is missing"));
        let text = |key: &str| values.text(key).ok_or_else(|| missing(key));
        let number = |key: &str| {
            let number = values.integer(key).ok_or_else(|| missing(key))?;
            u32::try_from(number)
                .map_err(|_| Error::invalid(format!("--config.{key}: {number} is too large")))
        };
        Ok(Self {
            output_path: text("output_path")?,
            role_name: text("role_name")?,
            instance_type: text("train_instance_type")?,
            instance_count: number("train_instance_count")?,
            volume_size: number("volume_size")?,
            max_runtime: number("max_runtime")?,
            hyperparameters: values.entries("hyperparameters"),
            environment: values.entries("environment"),
        })
    }

    /// What the service would refuse after the image is built and pushed.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut problem = |message: String, fix: &str| findings.push(Finding::problem(&message, fix));
        if !self.instance_type.starts_with("ml.") {
            problem(
                format!("--config.train_instance_type: `{}` is no instance of SageMaker", self.instance_type),
                "their names begin with `ml.`, as in ml.m5.large",
            );
        }
        if self.hyperparameters.len() > MOST_HYPERPARAMETERS {
            problem(
                format!("{} hyperparameters are too many", self.hyperparameters.len()),
                "at most 100 are allowed",
            );
        }
        for (name, value) in &self.hyperparameters {
            if name.len() > LONGEST_HYPERPARAMETER || value.len() > LONGEST_HYPERPARAMETER {
                problem(
                    format!("--config.hyperparameters.{name} is too long"),
                    "a name and a value have at most 256 characters each: put more into a file beside the script",
                );
            }
        }
        for (name, value) in &self.environment {
            if name.len() > LONGEST_VARIABLE || value.len() > LONGEST_VARIABLE || !is_variable(name) {
                problem(
                    format!("--config.environment.{name} is no variable that SageMaker takes"),
                    "a name is made of letters, digits and underscores; a name and a value have at most 512 characters",
                );
            }
        }
        findings
    }
}

fn is_variable(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_as_in_a_shell() {
        assert!(is_variable("A_1") && is_variable("_x"));
        assert!(!is_variable("1A") && !is_variable("A-B") && !is_variable(""));
    }
}
