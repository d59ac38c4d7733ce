//! What a run's command line designates.

use std::collections::BTreeSet;

use crate::config::{AwsSettings, Designated, Location, Values};

/// What one run of a command may touch.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Places in S3.
    pub locations: Vec<Location>,
    /// Folders of this machine, by their absolute paths.
    pub folders: Vec<String>,
    /// Roles, by name or ARN.
    pub roles: Vec<String>,
    /// How it meets AWS.
    pub aws: AwsSettings,
    /// The words of all options that the user gave: what they name, the user named.
    pub words: BTreeSet<String>,
    /// The training's tag.
    pub tag: Option<String>,
    /// The job's name.
    pub job: Option<String>,
    /// The values of secret options: no log keeps them.
    pub secrets: Vec<String>,
    /// Nothing is to be made, started or changed.
    pub dry_run: bool,
}

impl Scope {
    /// What the options of a run designate.
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

/// The words of a value, which may be JSON: a name counts only where it stands whole.
pub(super) fn words(value: &str) -> impl Iterator<Item = &str> {
    let between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']' | '{' | '}');
    value.split(between).filter(|word| !word.is_empty())
}
