//! The scope of a run: what its command line designates.

use std::collections::BTreeSet;

use crate::config::{AwsSettings, Designated, Location, Values};

/// What one run may use.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Locations in object stores.
    pub locations: Vec<Location>,
    /// Folders of this machine, with absolute paths.
    pub folders: Vec<String>,
    /// Roles, by name or ARN.
    pub roles: Vec<String>,
    /// The settings of the AWS client.
    pub aws: AwsSettings,
    /// The words of all option values that the user gave. A resource in them counts as designated.
    pub words: BTreeSet<String>,
    /// The training's tag.
    pub tag: Option<String>,
    /// The job's name.
    pub job: Option<String>,
    /// The values of secret options, which are not logged.
    pub secrets: Vec<String>,
    /// Whether this is a dry run, which must not create, start or change anything.
    pub dry_run: bool,
}

impl Scope {
    /// The scope that the options of a run designate.
    pub fn of(options: &Values, tag: &str, job: &str) -> Self {
        let mut scope = Self {
            aws: options.aws().clone(),
            secrets: options.secrets().to_vec(),
            words: options.given().iter().flat_map(|(_, value)| words(value)).map(str::to_owned).collect(),
            tag: Some(tag.to_owned()),
            job: Some(job.to_owned()),
            ..Self::default()
        };
        for named in options.designated() {
            match named.thing.clone() {
                Designated::Location(place) => scope.locations.push(place),
                Designated::Folder(folder) => scope.folders.push(folder),
                Designated::Role(role) => scope.roles.push(role),
                Designated::Aws(..) => {}
            }
        }
        scope
    }
}

/// The words of a value, which may be JSON. A name counts only as a whole word.
pub(super) fn words(value: &str) -> impl Iterator<Item = &str> {
    let between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']' | '{' | '}');
    value.split(between).filter(|word| !word.is_empty())
}
