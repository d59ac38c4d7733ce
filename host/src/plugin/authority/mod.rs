//! Who may do what: one function decides every verb.
//!
//! A verb is allowed where the plugin was granted its capability **and** the command line designated what it touches:
//! the bucket and prefix of an option like `output_path`, the role of `role_name`, the repository of the training's
//! tag, the job itself. A request is allowed where the plugin was granted its origin, and the address behind it is not
//! in a network that was not.

mod remedy;
mod scope;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    path::{Component, Path},
    sync::{Arc, Mutex, PoisonError},
};

pub use scope::Scope;
use url::Url;

use super::{
    address::Region,
    audit::Auditor,
    grant::{Capability, Grant, Grants, Requests},
    never::NeverGranted,
    origin::Origin,
    verb::Verb,
};
use crate::{
    capability::http::CredentialSource,
    config::{Location, S3},
    error::{Error, Kind, Result},
};

/// What the user allowed a plugin, and what this run of a command designates.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    /// The plugin's name.
    pub plugin: String,
    /// What it was granted.
    pub granted: Grants,
    /// What it wants: a denial names the whole grant, with its credential.
    pub wants: Grants,
    /// What its user never grants.
    pub never: NeverGranted,
    /// It is tried out from its file, and not installed.
    pub lent: bool,
    /// It came with the program.
    pub shipped: bool,
    /// What this run may touch.
    pub scope: Scope,
    /// See [`Authority::used`].
    pub used: Arc<Mutex<Used>>,
    /// Keeps each decision, if it is about a job.
    pub(super) auditor: Option<Auditor>,
}

/// Where a call of a driver acted, and as whom: there runs a job that it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// In the Docker engine.
    pub engine: bool,
    /// In the AWS account.
    pub aws: bool,
    /// At services that these credentials were shown to.
    pub credentials: BTreeSet<CredentialSource>,
}

/// Files and folders of a build's context that are the host's and the user's own.
const OF_THE_HOST: [&str; 5] = ["dockerfile", ".dockerignore", "code", "dependencies", "machine"];
/// Where SageMaker writes the logs of training jobs.
const LOG_GROUP: &str = "/aws/sagemaker/TrainingJobs";
/// They send back what they were sent, or open a way to elsewhere.
const FORBIDDEN_METHODS: [&str; 2] = ["TRACE", "CONNECT"];
/// By HTTP's own word they change nothing.
const ASKING_METHODS: [&str; 2] = ["GET", "HEAD"];

impl Authority {
    /// Allows a verb, or says what would allow it.
    ///
    /// # Errors
    /// [`Kind::Denied`].
    pub fn decide(&self, verb: Verb<'_>) -> Result<()> {
        let decided = self.judge(verb);
        if let Some(auditor) = &self.auditor {
            auditor.note(verb, &decided);
        }
        decided?;
        self.note(verb);
        Ok(())
    }

    /// What the verbs so far were about.
    pub fn used(&self) -> Used {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, verb: Verb<'_>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match verb {
            Verb::Container(_) => used.engine = true,
            Verb::TrainingJob(_) => used.aws = true,
            Verb::Request { origin, address, .. } => {
                let granted = self.granted_for(origin, address);
                used.credentials.extend(granted.and_then(|granted| granted.credential.clone()));
            }
            _ => {}
        }
    }

    fn judge(&self, verb: Verb<'_>) -> Result<()> {
        let scope = &self.scope;
        if scope.dry_run && acts(verb) {
            return Err(Error::new(
                Kind::Denied,
                format!(
                    "the plugin {} may not {} in a dry run, which changes nothing",
                    self.plugin,
                    verb.deed()
                ),
            )
            .hint(
                "leave --dry-run out; its author can send GET and HEAD requests where others are not needed",
            ));
        }
        let is = |designated: &Option<String>, asked: &str| designated.as_deref() == Some(asked);
        let (capability, designated) = match verb {
            Verb::Engine => (Capability::Docker, true),
            Verb::Image(name) => (Capability::Docker, is(&scope.tag, name)),
            Verb::BuildFile(path) => (Capability::Docker, is_addable(path)),
            Verb::Container(job) => (Capability::Docker, is(&scope.job, job)),
            // Its folder is the plugin's own, whatever it was granted.
            Verb::JobFile(path) => return self.within(verb, is_inside(path)),
            Verb::Identity => (Capability::AwsIdentity, true),
            Verb::Role(name) => (Capability::AwsIdentity, scope.roles.iter().any(|role| is_role(role, name))),
            Verb::Repository(name) => (Capability::Ecr, is(&scope.tag, name)),
            Verb::Push { made_ready: true, .. } => return Ok(()),
            Verb::Push { address, registry, .. } => {
                let granted = registry.and_then(|registry| self.granted.requests(registry));
                let has_login = granted.is_some_and(|granted| granted.credential.is_some());
                let of_tag = scope.tag.as_ref().is_some_and(|tag| address.ends_with(&format!("/{tag}")));
                return self.within(verb, has_login && of_tag);
            }
            Verb::Location(place) => {
                (Capability::S3, scope.locations.iter().any(|holder| holder.holds(place)))
            }
            Verb::Mount(folder) => (Capability::Docker, is_one_of(&scope.folders, folder)),
            Verb::Hash(folder) => (Capability::S3, is_one_of(&scope.folders, folder)),
            Verb::Send { folder, place } => (
                Capability::S3,
                is_one_of(&scope.folders, folder) && scope.locations.iter().any(|holder| holder.holds(place)),
            ),
            Verb::Bucket(bucket) => (
                Capability::S3,
                scope.locations.iter().any(|holder| holder.scheme == S3 && holder.bucket == bucket),
            ),
            Verb::TrainingJob(job) => (Capability::Sagemaker, is(&scope.job, job)),
            Verb::TrainingQuota => (Capability::Sagemaker, true),
            Verb::Resource(name) => {
                let place = Location::in_s3(name);
                let held = place.is_ok_and(|place| scope.locations.iter().any(|holder| holder.holds(&place)));
                (Capability::Sagemaker, held || scope.words.contains(name))
            }
            Verb::Log { job, group, stream } => {
                let of_job = stream
                    .is_none_or(|stream| stream.strip_prefix(job).is_some_and(|rest| rest.starts_with('/')));
                (Capability::CloudwatchLogs, is(&scope.job, job) && group == LOG_GROUP && of_job)
            }
            Verb::Request { origin, address, method, own_credential, disguised } => {
                self.not_forbidden(origin)?;
                let Some(granted) = self.granted_for(origin, address) else {
                    self.any_requests(origin)?;
                    return self.within(verb, false);
                };
                let two_credentials = own_credential && granted.credential.is_some();
                let only_reads = granted.places.is_none() || ASKING_METHODS.contains(&method);
                return self
                    .within(verb, only_reads && !two_credentials && !disguised && !is_forbidden(method));
            }
            Verb::Credential(origin) => return self.any_requests(origin),
            Verb::Address { origin, address } => {
                self.any_requests(origin)?;
                let private = self.granted.all_requests(origin).any(|granted| granted.private);
                let may = match Region::of(address) {
                    Region::Public => !origin.is_this_machine(),
                    Region::Private => private,
                    Region::ThisMachine => private || origin.is_this_machine(),
                    Region::Nowhere => false,
                };
                return self.within(verb, may);
            }
        };
        self.granted(&capability.into())?;
        self.within(verb, designated)
    }

    fn granted(&self, grant: &Grant) -> Result<()> {
        if let Some(rule) = self.never.rule(grant) {
            return Err(self.never.refused(grant, rule));
        }
        if self.granted.has(grant) {
            return Ok(());
        }
        Err(Error::new(Kind::Denied, format!("the plugin {} was not granted {grant}", self.plugin))
            .hint(self.command(grant)))
    }

    /// What allows a request to an address: what was granted for all of its origin, or for the place it names.
    pub fn granted_for(&self, origin: &Origin, address: &Url) -> Option<&Requests> {
        let of_place = |granted: &&Requests| {
            granted.places.as_ref().is_some_and(|places| places.holds(address, &self.scope.locations))
        };
        self.granted.requests(origin).or_else(|| self.granted.all_requests(origin).find(of_place))
    }

    /// Something was granted for an origin.
    fn any_requests(&self, origin: &Origin) -> Result<()> {
        if self.granted.all_requests(origin).next().is_some() {
            return Ok(());
        }
        self.not_forbidden(origin)?;
        // Without its credential, the grant would lead to an answer that only says that nobody asked.
        let wanted = self.wants.requests(origin).or_else(|| self.wants.all_requests(origin).next()).cloned();
        let plain = Requests { origins: origin.into(), places: None, credential: None, private: false };
        Err(Error::new(Kind::Denied, format!("the plugin {} was not granted {origin}", self.plugin))
            .hint(self.command(&Grant::Requests(wanted.unwrap_or(plain)))))
    }

    /// The user forbids no requests to an origin.
    fn not_forbidden(&self, origin: &Origin) -> Result<()> {
        let Some(rule) = self.never.rule_for(origin) else { return Ok(()) };
        let plain = Requests { origins: origin.into(), places: None, credential: None, private: false };
        Err(self.never.refused(&Grant::Requests(plain), rule))
    }

    fn within(&self, verb: Verb<'_>, designated: bool) -> Result<()> {
        if designated {
            return Ok(());
        }
        Err(Error::new(Kind::Denied, format!("the plugin {} may not {}", self.plugin, verb.deed()))
            .hint(self.remedy(verb)))
    }
}

/// Starts or changes something. What is built and made ready in a dry run its verbs only note.
fn acts(verb: Verb<'_>) -> bool {
    match verb {
        Verb::Container(_) | Verb::TrainingJob(_) | Verb::Send { .. } => true,
        Verb::Request { method, .. } => !ASKING_METHODS.contains(&method),
        _ => false,
    }
}

fn is_one_of(designated: &[String], asked: &str) -> bool {
    designated.iter().any(|one| one == asked)
}

fn is_forbidden(method: &str) -> bool {
    FORBIDDEN_METHODS.iter().any(|forbidden| method.eq_ignore_ascii_case(forbidden))
}

/// A path in a build's context that a driver may fill: in its one spelling, and none of the host's or the user's.
fn is_addable(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let odd = path.contains(|c: char| c.is_control() || c == '\\');
    // BuildKit reads `Dockerfile.dockerignore` too.
    let reserved = OF_THE_HOST.contains(&first.as_str()) || first.starts_with("dockerfile.");
    plain && !odd && !reserved
}

/// A relative path that stays where it begins.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The ARN of a role by that name is that role; `role` is what the user gave.
fn is_role(role: &str, asked: &str) -> bool {
    role == asked
        || asked.strip_prefix("arn:").is_some_and(|arn| {
            !role.starts_with("arn:")
                && arn.split_once(":role/").is_some_and(|(_, path)| {
                    path == role || path.strip_suffix(role).is_some_and(|rest| rest.ends_with('/'))
                })
        })
}
