//! The options of one run.

use std::collections::BTreeMap;

use super::{
    Assignment, AwsSetting, AwsSettings, Location, OptionSpec, OptionType, Origin, schema::is_place,
};
use crate::error::{Error, Result};

/// One value, of its option's type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, a location or a role.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
    /// Names and their values.
    Entries(BTreeMap<String, String>),
}

/// The options of one driver in one run: valid, defaults filled in.
#[derive(Clone, Debug, Default)]
pub struct Values {
    values: BTreeMap<String, Value>,
    /// Where the run may read and write.
    locations: Vec<Location>,
    /// Folders of this machine that it may read and send.
    folders: Vec<String>,
    /// The roles it may pass on.
    roles: Vec<String>,
    /// How it meets AWS.
    aws: AwsSettings,
    /// The metrics to look for in the log.
    metrics: Vec<(String, String)>,
    /// As the user gave them, secrets left out: what a record keeps.
    given: Vec<(String, String)>,
}

impl Values {
    /// No options but a place that the command line named.
    pub fn of_location(location: Location) -> Self {
        Self { locations: vec![location], ..Self::default() }
    }

    /// A value by its key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The places in object stores that the user designated.
    pub fn locations(&self) -> &[Location] {
        &self.locations
    }

    /// The folders of this machine that the user designated.
    pub fn folders(&self) -> &[String] {
        &self.folders
    }

    /// The roles that the user designated.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// How the run meets AWS.
    pub fn aws(&self) -> &AwsSettings {
        &self.aws
    }

    /// The metrics to look for in the log: names and regular expressions.
    pub fn metrics(&self) -> &[(String, String)] {
        &self.metrics
    }

    /// As the user gave them, secrets left out.
    pub fn given(&self) -> &[(String, String)] {
        &self.given
    }

    /// Checks what the user gave against one driver's schema; keys of no option of it are left alone.
    ///
    /// # Errors
    /// The first value that is missing or wrong.
    pub fn new(driver: &str, specs: &[OptionSpec], given: &[Assignment]) -> Result<Self> {
        missing(driver, specs, given)?;
        let mut values = Self::default();
        for spec in specs {
            values.take(driver, spec, given)?;
        }
        Ok(values)
    }

    fn take(&mut self, driver: &str, spec: &OptionSpec, given: &[Assignment]) -> Result<()> {
        let wrong = |shown: String, problem: String| {
            Error::invalid(format!("{shown}: {problem}"))
                .hint(format!("{}; see `alekseylearn driver show {driver}`", spec.help))
        };
        if spec.kind.is_named() {
            let mut entries = BTreeMap::new();
            let mut said: BTreeMap<&str, &Assignment> = BTreeMap::new();
            for assignment in given {
                let Some((_, name)) = assignment.key.split_once('.').filter(|(key, _)| *key == spec.key)
                else {
                    continue;
                };
                let value =
                    spec.parse(&assignment.value).map_err(|problem| wrong(assignment.shown(), problem))?;
                // The command line wins over a file; of two on the same line none does.
                if spec.kind == OptionType::Inputs
                    && let Some(other) = said.insert(name, assignment)
                    && other.origin == assignment.origin
                    && other.value != assignment.value
                {
                    let problem = format!("it is given twice, also as `{}`", other.value);
                    return Err(wrong(assignment.shown(), problem));
                }
                let mut kept = assignment.clone();
                if let Value::Text(value) = value {
                    match spec.kind {
                        OptionType::Inputs if is_place(&value) => self.locations.extend(value.parse()),
                        OptionType::Inputs => {
                            self.folders.push(value.clone());
                            // Another command finds it from wherever it is called.
                            kept.value.clone_from(&value);
                        }
                        OptionType::Metrics => self.metrics.push((name.to_owned(), value.clone())),
                        _ => {}
                    }
                    entries.insert(name.to_owned(), value);
                }
                self.remember(spec, &kept);
            }
            self.values.insert(spec.key.clone(), Value::Entries(entries));
            return Ok(());
        }
        // The last one wins, as on every command line.
        let assignment = given.iter().rfind(|assignment| assignment.key == spec.key);
        let Some(text) = assignment.map(|assignment| &assignment.value).or(spec.default.as_ref()) else {
            return Ok(());
        };
        let shown = || assignment.map_or_else(|| format!("--config.{}", spec.key), Assignment::shown);
        let value = spec.parse(text).map_err(|problem| wrong(shown(), problem))?;
        // Requests that are signed by the user's credentials would go to where somebody's project says.
        if spec.kind == OptionType::Aws(AwsSetting::Endpoint)
            && assignment.is_some_and(|assignment| assignment.origin != Origin::CommandLine)
        {
            return Err(wrong(shown(), "only the command line and AWS_ENDPOINT_URL can name it".into()));
        }
        if let Value::Text(text) = &value {
            match spec.kind {
                OptionType::Location => self.locations.extend(text.parse()),
                OptionType::Role => self.roles.push(text.clone()),
                OptionType::Aws(setting) => self.aws.set(setting, text),
                _ => {}
            }
        }
        self.values.insert(spec.key.clone(), value);
        if let Some(assignment) = assignment {
            self.remember(spec, assignment);
        }
        Ok(())
    }

    fn remember(&mut self, spec: &OptionSpec, assignment: &Assignment) {
        if !spec.secret {
            self.given.push((assignment.key.clone(), assignment.value.clone()));
        }
    }
}

/// Refuses what lacks values that the driver needs: all of them are named at once.
fn missing(driver: &str, specs: &[OptionSpec], given: &[Assignment]) -> Result<()> {
    let is_given = |spec: &OptionSpec| given.iter().any(|assignment| assignment.key == spec.key);
    let missing = specs
        .iter()
        .filter(|spec| spec.required && spec.default.is_none() && !spec.kind.is_named() && !is_given(spec));
    let missing: Vec<&OptionSpec> = missing.collect();
    let names: Vec<String> = missing.iter().map(|spec| format!("--config.{}", spec.key)).collect();
    match missing.as_slice() {
        [] => Ok(()),
        [spec] => Err(Error::invalid(format!("{} is missing: {driver} needs it", names[0]))
            .hint(format!("{}: add {}=VALUE", spec.help, names[0]))),
        several => {
            let lines: Vec<String> =
                several.iter().map(|spec| format!("--config.{}=VALUE  {}", spec.key, spec.help)).collect();
            Err(Error::invalid(format!("{} are missing: {driver} needs them", names.join(" and ")))
                .hint("add each of them")
                .details(lines.join("\n")))
        }
    }
}

/// A driver that was chosen for a run.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// Its name.
    pub name: &'a str,
    /// The options it declares.
    pub specs: &'a [OptionSpec],
    /// What files say of them.
    pub defaults: &'a [Assignment],
}

/// Refuses keys that none of the drivers knows, and shares out the rest, in the drivers' order.
///
/// # Errors
/// The first key that is unknown, or the first value that is missing or wrong.
pub fn validate<const N: usize>(given: &[Assignment], drivers: [Chosen<'_>; N]) -> Result<[Values; N]> {
    check_keys(given, &drivers)?;
    let mut all = [const { None }; N];
    for (slot, driver) in all.iter_mut().zip(drivers) {
        check_keys(driver.defaults, &[driver])?;
        let assignments = [driver.defaults, given].concat();
        *slot = Some(Values::new(driver.name, driver.specs, &assignments)?);
    }
    Ok(all.map(Option::unwrap_or_default))
}

fn check_keys(given: &[Assignment], drivers: &[Chosen<'_>]) -> Result<()> {
    for assignment in given {
        let (key, name) = match assignment.key.split_once('.') {
            Some((key, _)) => (key, true),
            None => (assignment.key.as_str(), false),
        };
        let spec = drivers.iter().flat_map(|driver| driver.specs).find(|spec| spec.key == key);
        match spec {
            None => return Err(unknown(key, assignment, drivers)),
            Some(spec) if name != spec.kind.is_named() => {
                let form = if name { "VALUE" } else { "NAME=VALUE" };
                let joint = if name { "=" } else { "." };
                return Err(Error::invalid(format!("{} has the wrong form", assignment.shown()))
                    .hint(format!("write --config.{key}{joint}{form}")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn unknown(key: &str, assignment: &Assignment, drivers: &[Chosen<'_>]) -> Error {
    let names: Vec<&str> = drivers.iter().map(|driver| driver.name).collect();
    let keys = drivers.iter().flat_map(|driver| driver.specs).map(|spec| spec.key.as_str());
    let nearest = keys.map(|known| (strsim::damerau_levenshtein(key, known), known)).min();
    let hint = match nearest {
        Some((distance, known)) if distance <= 2.max(key.len() / 3) => {
            format!("did you mean --config.{known}?")
        }
        _ => format!("`alekseylearn driver show {}` lists the options", names.last().unwrap_or(&"")),
    };
    let mut drivers = names.clone();
    drivers.dedup();
    let message = match &assignment.origin {
        Origin::CommandLine => format!("no option --config.{key} in {}", drivers.join(" or ")),
        Origin::File(section) => {
            format!("{section} names {key}, which is no option of {}", drivers.join(" or "))
        }
    };
    Error::invalid(message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Vec<OptionSpec> {
        let new = |kind, key: &str| OptionSpec::new(kind, key.into(), "A value".into());
        let mut path = new(OptionType::Location, "output_path");
        path.schemes = vec!["s3".into()];
        path.required = true;
        let mut count = new(OptionType::Integer, "count");
        count.default = Some("1".into());
        count.range = (Some(1), Some(9));
        vec![path, count, new(OptionType::Entries, "hyperparameters"), new(OptionType::Role, "role_name")]
    }

    fn values(line: &[&str]) -> Result<Values> {
        let given: Vec<Assignment> = line.iter().map(|text| text.parse().unwrap()).collect();
        with_defaults(&given, &[])
    }

    fn with_defaults(given: &[Assignment], defaults: &[Assignment]) -> Result<Values> {
        validate(given, [Chosen { name: "sagemaker", specs: &specs(), defaults }]).map(|[values]| values)
    }

    #[test]
    fn the_command_line_wins_over_files_which_are_named_where_they_are_wrong() {
        let file = |text: &str| Assignment {
            origin: Origin::File("[train.sagemaker] of a.toml".into()),
            ..text.parse().unwrap()
        };
        let line: Assignment = "count=3".parse().unwrap();
        let path = file("output_path=s3://bucket");
        let values = with_defaults(&[line], &[path.clone(), file("count=2")]).unwrap();
        assert_eq!(values.get("count"), Some(&Value::Integer(3)));
        assert_eq!(values.locations()[0].to_string(), "s3://bucket");
        for wrong in ["count=many", "cuont=1", "count.x=1"] {
            let error = with_defaults(&[], &[path.clone(), file(wrong)]).unwrap_err();
            assert!(error.message().contains("[train.sagemaker] of a.toml"), "{error}");
        }
    }

    #[test]
    fn defaults_are_filled_in_and_authority_is_collected() {
        let values =
            values(&["output_path=s3://bucket/p/", "hyperparameters.lr=0.1", "role_name=r", "count=3"])
                .unwrap();
        assert_eq!(values.get("count"), Some(&Value::Integer(3)));
        assert_eq!(values.locations()[0].to_string(), "s3://bucket/p");
        assert_eq!(values.roles(), ["r"]);
        assert_eq!(
            values.get("hyperparameters"),
            Some(&Value::Entries([("lr".into(), "0.1".into())].into()))
        );
    }

    #[test]
    fn each_mistake_names_its_option() {
        for (line, expected) in [
            (vec!["output_path=s3://bucket", "output_paht=x"], "no option --config.output_paht"),
            (vec![], "--config.output_path is missing"),
            (vec!["output_path=bucket"], "--config.output_path: `bucket` is not of the form"),
            (vec!["output_path=s3://bucket", "count=many"], "--config.count: `many` is not a whole number"),
            (vec!["output_path=s3://bucket", "count=10"], "--config.count: 10 is above 9"),
            (
                vec!["output_path=s3://bucket", "hyperparameters=3"],
                "--config.hyperparameters has the wrong form",
            ),
            (vec!["output_path=s3://bucket", "count.x=3"], "--config.count.x has the wrong form"),
        ] {
            let error = values(&line).unwrap_err();
            assert!(error.message().starts_with(expected), "{line:?}: {error}");
            assert!(error.hint_text().is_some(), "{line:?}");
        }
        let mut specs = specs();
        specs[3].required = true;
        let error = Values::new("sagemaker", &specs, &[]).unwrap_err();
        assert!(
            error.message().starts_with("--config.output_path and --config.role_name are missing"),
            "{error}"
        );
        let error = values(&["output_path=s3://bucket", "output_paht=x"]).unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean --config.output_path?"));
    }
}
