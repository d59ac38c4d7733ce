//! Decides every verb of a plugin, in one function.
//!
//! A verb is allowed if the plugin has a grant for its capability **and** the command line designates its object: the
//! bucket and prefix of an option like `output_path`, the role of `role_name`, the repository of the training's tag, or
//! the job itself. A request is allowed if the plugin has a grant for its origin, and the origin's address is in a
//! network that the grant covers.

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

/// The grants of a plugin, and what this run designates.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    /// The plugin's name.
    pub plugin: String,
    /// Its grants.
    pub granted: Grants,
    /// The grants that it wants, so that a denial can name the whole grant, with its credential.
    pub wants: Grants,
    /// The grants that its user never gives.
    pub never: NeverGranted,
    /// Whether `plugin run` uses it from a file, without installing it.
    pub lent: bool,
    /// Whether it ships with the program.
    pub shipped: bool,
    /// The objects that this run may use.
    pub scope: Scope,
    /// See [`Authority::used`].
    pub used: Arc<Mutex<Used>>,
    /// Logs each decision; `None` if the call is not for a job.
    pub(crate) auditor: Option<Auditor>,
}

/// Where a driver call acted, and with which credentials. A job that it started runs there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// In the Docker engine.
    pub engine: bool,
    /// In the AWS account.
    pub aws: bool,
    /// At services, with these credentials.
    pub credentials: BTreeSet<CredentialSource>,
}

/// Files and folders of a build context that belong to the host or the user.
const OF_THE_HOST: [&str; 5] = ["dockerfile", ".dockerignore", "code", "dependencies", "machine"];
/// Where SageMaker writes the logs of training jobs.
const LOG_GROUP: &str = "/aws/sagemaker/TrainingJobs";
/// TRACE returns the request with its credential, and CONNECT opens a tunnel.
const FORBIDDEN_METHODS: [&str; 2] = ["TRACE", "CONNECT"];
/// HTTP defines these methods as safe: they change nothing.
const ASKING_METHODS: [&str; 2] = ["GET", "HEAD"];

impl Authority {
    /// Decides a verb. The error's hint says what would allow it.
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

    /// Where the verbs so far acted.
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
                format!("the plugin {} may not {} in a dry run", self.plugin, verb.deed()),
            )
            .hint("run the command without --dry-run"));
        }
        let is = |designated: &Option<String>, asked: &str| designated.as_deref() == Some(asked);
        let (capability, designated) = match verb {
            Verb::Engine => (Capability::Docker, true),
            Verb::Image(name) => (Capability::Docker, is(&scope.tag, name)),
            Verb::Assembly(name) => (Capability::Oci, is(&scope.tag, name)),
            Verb::BuildFile(path) => (Capability::Docker, is_addable(path)),
            Verb::Container(job) => (Capability::Docker, is(&scope.job, job)),
            Verb::Process(job) => (Capability::Process, self.shipped && is(&scope.job, job)),
            Verb::ProcessInput(folder) => {
                (Capability::Process, self.shipped && is_one_of(&scope.folders, folder))
            }
            // Needs no grant: the job's folder belongs to the plugin.
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

    /// The grant for an address: one for its whole origin, or one for the location in it.
    pub fn granted_for(&self, origin: &Origin, address: &Url) -> Option<&Requests> {
        let of_place = |granted: &&Requests| {
            granted.places.as_ref().is_some_and(|places| places.holds(address, &self.scope.locations))
        };
        self.granted.requests(origin).or_else(|| self.granted.all_requests(origin).find(of_place))
    }

    /// Checks that there is any grant for an origin.
    fn any_requests(&self, origin: &Origin) -> Result<()> {
        if self.granted.all_requests(origin).next().is_some() {
            return Ok(());
        }
        self.not_forbidden(origin)?;
        // Names the wanted grant with its credential: without it, the service would refuse the request.
        let wanted = self.wants.requests(origin).or_else(|| self.wants.all_requests(origin).next()).cloned();
        let plain = Requests { origins: origin.into(), places: None, credential: None, private: false };
        Err(Error::new(Kind::Denied, format!("the plugin {} was not granted {origin}", self.plugin))
            .hint(self.command(&Grant::Requests(wanted.unwrap_or(plain)))))
    }

    /// Checks that the user does not forbid requests to an origin.
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

/// Whether a verb starts or changes something. Builds and repositories are not included: in a dry run, their verbs only
/// record the request.
fn acts(verb: Verb<'_>) -> bool {
    match verb {
        Verb::Container(_) | Verb::Process(_) | Verb::TrainingJob(_) | Verb::Send { .. } => true,
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

/// Whether a driver may add a file at this path of a build context: a normalised path that does not belong to the host
/// or the user.
fn is_addable(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let odd = path.contains(|c: char| c.is_control() || c == '\\');
    // BuildKit reads `Dockerfile.dockerignore` too.
    let reserved = OF_THE_HOST.contains(&first.as_str()) || first.starts_with("dockerfile.");
    plain && !odd && !reserved
}

/// Whether it is a relative path that does not leave its folder.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a role is the one that the user gave by name or ARN.
fn is_role(role: &str, asked: &str) -> bool {
    role == asked
        || asked.strip_prefix("arn:").is_some_and(|arn| {
            !role.starts_with("arn:")
                && arn.split_once(":role/").is_some_and(|(_, path)| {
                    path == role || path.strip_suffix(role).is_some_and(|rest| rest.ends_with('/'))
                })
        })
}
