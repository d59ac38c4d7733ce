//! The option values of one run.

use std::{collections::BTreeMap, fmt};

use super::{
    Assignment, AwsSetting, AwsSettings, Location, OptionSpec, OptionType, Origin, schema::is_place,
};
use crate::error::{Error, Result};

/// One value, with its option's type.
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

/// One thing that a run may touch because an option names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Designation {
    /// The option's key, with its name if it takes several values.
    pub option: String,
    /// What the run may touch.
    pub thing: Designated,
    /// What set the option.
    pub by: Origin,
}

/// What an option can name for a run to touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Designated {
    /// A place in an object store, to read and write.
    Location(Location),
    /// A folder of this machine, to read and send.
    Folder(String),
    /// A role, to look up and pass to the service.
    Role(String),
    /// An AWS setting, for signed requests.
    Aws(AwsSetting, String),
}

impl Designated {
    /// The kind of thing, for a program and a person.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Location(_) => "location",
            Self::Folder(_) => "folder",
            Self::Role(_) => "role",
            Self::Aws(AwsSetting::Profile, _) => "AWS profile",
            Self::Aws(AwsSetting::Region, _) => "AWS region",
            Self::Aws(AwsSetting::Endpoint, _) => "AWS endpoint",
        }
    }
}

impl fmt::Display for Designated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Location(place) => place.fmt(f),
            Self::Folder(text) | Self::Role(text) | Self::Aws(_, text) => f.write_str(text),
        }
    }
}

/// The option values of one driver in one run: validated, with defaults filled in.
#[derive(Clone, Debug, Default)]
pub struct Values {
    values: BTreeMap<String, Value>,
    /// The kinds of the options that the driver declares; `None` if no driver was asked.
    declared: Option<BTreeMap<String, OptionType>>,
    /// What the run may touch.
    designated: Vec<Designation>,
    /// How it reaches AWS.
    aws: AwsSettings,
    /// The metrics to look for in the log.
    metrics: Vec<(String, String)>,
    /// The values of secret options.
    secrets: Vec<String>,
    /// The options as the user gave them, without secrets: what the record stores.
    given: Vec<(String, String)>,
}

impl Values {
    /// No options except a location that the command line names.
    pub fn of_location(location: Location) -> Self {
        let thing = Designated::Location(location);
        let named = Designation { option: "location".to_owned(), thing, by: Origin::CommandLine };
        Self { designated: vec![named], ..Self::default() }
    }

    /// A value by its key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The kind of an option that the driver may ask for.
    ///
    /// # Errors
    /// The driver declares no option of this key.
    pub fn kind_of(&self, key: &str) -> Result<Option<OptionType>, String> {
        let Some(declared) = &self.declared else { return Ok(None) };
        declared
            .get(key)
            .copied()
            .map(Some)
            .ok_or_else(|| format!("it reads the option {key}, which it does not declare"))
    }

    /// All that the run may touch because an option names it.
    pub fn designated(&self) -> &[Designation] {
        &self.designated
    }

    /// The folders of this machine among [`Self::designated`].
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.designated.iter().filter_map(|named| match &named.thing {
            Designated::Folder(folder) => Some(folder.as_str()),
            _ => None,
        })
    }

    /// How the run reaches AWS.
    pub fn aws(&self) -> &AwsSettings {
        &self.aws
    }

    /// The metrics to look for in the log: names and regular expressions.
    pub fn metrics(&self) -> &[(String, String)] {
        &self.metrics
    }

    /// The values of secret options.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// The options as the user gave them, without secrets.
    pub fn given(&self) -> &[(String, String)] {
        &self.given
    }

    /// Checks what the user gave against one driver's options. Ignores keys of other drivers.
    ///
    /// # Errors
    /// The first value that is missing or wrong.
    pub fn new(driver: Chosen<'_>, given: &[Assignment]) -> Result<Self> {
        let declared = driver.specs.iter().map(|spec| (spec.key.clone(), spec.kind)).collect();
        let mut values = Self { declared: Some(declared), ..Self::default() };
        let given = [driver.defaults, given].concat();
        missing(driver, &given)?;
        for spec in driver.specs {
            values.take(driver, spec, &given)?;
        }
        Ok(values)
    }

    /// Lets the run touch what an option names, if the source of the value may grant that.
    fn designate(&mut self, driver: Chosen<'_>, option: &str, thing: Designated, by: &Origin) {
        if *by == Origin::Driver && !driver.shipped {
            return;
        }
        if let Designated::Aws(setting, value) = &thing {
            self.aws.set(*setting, value);
        }
        // The command line replaces what a file names.
        self.designated.retain(|known| known.option != option);
        self.designated.push(Designation { option: option.to_owned(), thing, by: by.clone() });
    }

    fn take(&mut self, driver: Chosen<'_>, spec: &OptionSpec, given: &[Assignment]) -> Result<()> {
        let driver_name = driver.name;
        let wrong = |shown: String, problem: String| {
            Error::invalid(format!("{shown}: {problem}"))
                .hint(format!("{}; see `alekseylearn driver show {driver_name}`", spec.help))
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
                // The command line overrides a file; two values on the same line are an error.
                if spec.kind == OptionType::Inputs
                    && let Some(other) = said.insert(name, assignment)
                    && other.origin == assignment.origin
                    && other.value != assignment.value
                {
                    let problem = format!("given twice, also as `{}`", other.value);
                    return Err(wrong(assignment.shown(), problem));
                }
                let mut kept = assignment.clone();
                if let Value::Text(value) = value {
                    match spec.kind {
                        OptionType::Inputs if is_place(&value) => {
                            if let Ok(place) = value.parse() {
                                let place = Designated::Location(place);
                                self.designate(driver, &assignment.key, place, &assignment.origin);
                            }
                        }
                        OptionType::Inputs => {
                            let folder = Designated::Folder(value.clone());
                            self.designate(driver, &assignment.key, folder, &assignment.origin);
                            // The absolute path is valid for later commands in any folder.
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
        // The last value wins.
        let assignment = given.iter().rfind(|assignment| assignment.key == spec.key);
        let by = assignment.map_or(&Origin::Driver, |assignment| &assignment.origin);
        let default = spec.default.as_ref().filter(|_| driver.takes_default(spec));
        let Some(text) = assignment.map(|assignment| &assignment.value).or(default) else {
            return Ok(());
        };
        let shown = || assignment.map_or_else(|| format!("--config.{}", spec.key), Assignment::shown);
        let value = spec.parse(text).map_err(|problem| wrong(shown(), problem))?;
        // Otherwise a file or a driver could redirect requests signed with the user's credentials.
        if spec.kind == OptionType::Aws(AwsSetting::Endpoint)
            && !matches!(by, Origin::CommandLine | Origin::Record)
        {
            return Err(wrong(shown(), "only the command line and AWS_ENDPOINT_URL can set it".into()));
        }
        if let Value::Text(text) = &value {
            let thing = match spec.kind {
                OptionType::Location => text.parse().ok().map(Designated::Location),
                OptionType::Role => Some(Designated::Role(text.clone())),
                OptionType::Aws(setting) => Some(Designated::Aws(setting, text.clone())),
                _ => None,
            };
            if let Some(thing) = thing {
                self.designate(driver, &spec.key, thing, by);
            }
        }
        self.values.insert(spec.key.clone(), value);
        if let Some(assignment) = assignment {
            self.remember(spec, assignment);
        }
        Ok(())
    }

    fn remember(&mut self, spec: &OptionSpec, assignment: &Assignment) {
        if spec.secret {
            self.secrets.extend(Some(&assignment.value).filter(|value| !value.is_empty()).cloned())
        } else {
            self.given.push((assignment.key.clone(), assignment.value.clone()))
        }
    }
}

/// Fails if required options are missing, and names all of them.
fn missing(chosen: Chosen<'_>, given: &[Assignment]) -> Result<()> {
    let Chosen { name: driver, specs, .. } = chosen;
    let is_given = |spec: &OptionSpec| given.iter().any(|assignment| assignment.key == spec.key);
    let missing = specs
        .iter()
        .filter(|spec| spec.required && !(spec.default.is_some() && chosen.takes_default(spec)))
        .filter(|spec| !spec.kind.is_named() && !is_given(spec));
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
                .hint("add each of these options")
                .details(lines.join("\n")))
        }
    }
}

/// A driver selected for a run.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// Its name.
    pub name: &'a str,
    /// The options it declares.
    pub specs: &'a [OptionSpec],
    /// The values from files.
    pub defaults: &'a [Assignment],
    /// Whether it is shipped: then a run may touch what its defaults name.
    pub shipped: bool,
}

impl Chosen<'_> {
    /// Whether the default applies. The host signs requests with the AWS settings, so those of other drivers do not count.
    fn takes_default(&self, spec: &OptionSpec) -> bool {
        self.shipped || !matches!(spec.kind, OptionType::Aws(_))
    }
}

/// Refuses keys that none of the drivers declares, and returns the values of each driver, in the drivers' order.
///
/// # Errors
/// The first key that is unknown, or the first value that is missing or wrong.
pub fn validate<const N: usize>(given: &[Assignment], drivers: [Chosen<'_>; N]) -> Result<[Values; N]> {
    check_keys(given, &drivers)?;
    let mut all = [const { None }; N];
    for (slot, driver) in all.iter_mut().zip(drivers) {
        check_keys(driver.defaults, &[driver])?;
        *slot = Some(Values::new(driver, given)?);
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
        Origin::CommandLine | Origin::Record | Origin::Driver => {
            format!("no option --config.{key} in {}", drivers.join(" or "))
        }
        Origin::UserFile(section) | Origin::ProjectFile(section) => {
            format!("{section}: no option {key} in {}", drivers.join(" or "))
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
        let chosen = Chosen { name: "sagemaker", specs: &specs(), defaults, shipped: true };
        validate(given, [chosen]).map(|[values]| values)
    }

    fn named(values: &Values) -> Vec<(&'static str, String, &Origin)> {
        let told = |named: &'_ Designation| (named.thing.name(), named.thing.to_string());
        values.designated().iter().map(|named| (told(named).0, told(named).1, &named.by)).collect()
    }

    /// The attack: a driver whose defaults name the user's role, another account's bucket, and an endpoint of its own.
    #[test]
    fn the_defaults_of_a_driver_that_is_not_shipped_designate_nothing() {
        let default = |kind, key: &str, value: &str| OptionSpec {
            default: Some(value.into()),
            schemes: vec!["s3".into()],
            ..OptionSpec::new(kind, key.into(), "A value".into())
        };
        let specs = [
            default(OptionType::Location, "place", "s3://victim-bucket"),
            default(OptionType::Role, "role_name", "AdminRole"),
            default(OptionType::Aws(AwsSetting::Profile), "profile", "work"),
            default(OptionType::Aws(AwsSetting::Region), "region", "us-east-1"),
        ];
        let values = |shipped, given: &[Assignment]| {
            let chosen = Chosen { name: "acme", specs: &specs, defaults: &[], shipped };
            Values::new(chosen, given).unwrap()
        };
        let foreign = values(false, &[]);
        assert_eq!((named(&foreign), foreign.aws()), (Vec::new(), &AwsSettings::default()));
        assert_eq!(foreign.get("region"), None, "what the host does not use, the driver is not told");
        let given = [
            "place=s3://victim-bucket".parse().unwrap(),
            Assignment { origin: Origin::ProjectFile("a".into()), ..("region=eu-west-1".parse().unwrap()) },
        ];
        let foreign = values(false, &given);
        let project = Origin::ProjectFile("a".into());
        assert_eq!(
            named(&foreign),
            [
                ("location", "s3://victim-bucket".to_owned(), &Origin::CommandLine),
                ("AWS region", "eu-west-1".to_owned(), &project),
            ]
        );
        assert_eq!(foreign.aws().region.as_deref(), Some("eu-west-1"));
        let shipped = values(true, &[]);
        assert!(named(&shipped).iter().all(|(.., by)| **by == Origin::Driver));
        assert_eq!((shipped.designated().len(), shipped.aws().profile.as_deref()), (4, Some("work")));
        let endpoint = [default(OptionType::Aws(AwsSetting::Endpoint), "endpoint", "http://127.0.0.1:1")];
        for (shipped, refused) in [(false, false), (true, true)] {
            let chosen = Chosen { name: "acme", specs: &endpoint, defaults: &[], shipped };
            let values = Values::new(chosen, &[]);
            assert_eq!(values.is_err(), refused, "an endpoint comes from the command line alone");
            assert!(values.is_err() || values.unwrap().aws().endpoint.is_none());
        }
    }

    #[test]
    fn the_command_line_overrides_files_and_errors_name_the_file() {
        let file = |text: &str| Assignment {
            origin: Origin::UserFile("[train.sagemaker] of a.toml".into()),
            ..text.parse().unwrap()
        };
        let line: Assignment = "count=3".parse().unwrap();
        let path = file("output_path=s3://bucket");
        let values = with_defaults(&[line], &[path.clone(), file("count=2")]).unwrap();
        assert_eq!(values.get("count"), Some(&Value::Integer(3)));
        assert_eq!(named(&values)[0].1, "s3://bucket");
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
        let by = &Origin::CommandLine;
        assert_eq!(named(&values), [("location", "s3://bucket/p".into(), by), ("role", "r".into(), by)]);
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
        let error =
            Values::new(Chosen { name: "sagemaker", specs: &specs, defaults: &[], shipped: true }, &[])
                .unwrap_err();
        assert!(
            error.message().starts_with("--config.output_path and --config.role_name are missing"),
            "{error}"
        );
        let error = values(&["output_path=s3://bucket", "output_paht=x"]).unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean --config.output_path?"));
    }
}
