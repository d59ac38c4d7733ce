//! Who may do what: one function decides every verb.
//!
//! A verb is allowed where the plugin was granted its capability **and** the command line designated what it touches:
//! the bucket and prefix of an option like `output_path`, the role of `role_name`, the repository of the training's
//! tag, the job itself.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    config::{S3Location, Values},
    error::{Error, Kind, Result},
};

/// A part of the contract that touches the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Build images and run containers.
    Docker,
    /// Tell the account, look up roles.
    AwsIdentity,
    /// Make image repositories.
    Ecr,
    /// Look at buckets and objects.
    S3,
    /// Start and stop training jobs.
    Sagemaker,
    /// Read the logs of jobs.
    CloudwatchLogs,
}

impl Capability {
    /// The interface that a plugin imports for it.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::AwsIdentity => "aws-identity",
            Self::Ecr => "ecr",
            Self::S3 => "s3",
            Self::Sagemaker => "sagemaker",
            Self::CloudwatchLogs => "cloudwatch-logs",
        }
    }

    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Docker, Self::AwsIdentity, Self::Ecr, Self::S3, Self::Sagemaker, Self::CloudwatchLogs];

    /// By the name of its interface.
    pub fn of_interface(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.interface() == name)
    }

    /// What a plugin could do with it at worst, for a person who decides.
    pub const fn at_worst(self) -> &'static str {
        match self {
            Self::Docker => {
                "build images from the training folder, and run any program in containers of its own jobs"
            }
            Self::AwsIdentity => {
                "learn your AWS account's number and region, and look at the role that you name"
            }
            Self::Ecr => "make the training's image repository in your AWS account",
            Self::S3 => "list what is under the S3 locations that you name, but read none of it",
            Self::Sagemaker => {
                "start training jobs that cost money, with the role and output path that you name"
            }
            Self::CloudwatchLogs => "read what its own jobs write",
        }
    }
}

impl FromStr for Capability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of_interface(text).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|capability| capability.interface()).collect();
            format!("`{text}` is none of {}", all.join(", "))
        })
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.interface())
    }
}

/// What the user allowed a plugin, and what this run of a command designates.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    /// The plugin's name.
    pub plugin: String,
    /// What it was granted.
    pub granted: BTreeSet<Capability>,
    /// What this run may touch.
    pub scope: Scope,
}

/// What one run of a command may touch.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Places in S3.
    pub locations: Vec<S3Location>,
    /// Roles, by name or ARN.
    pub roles: Vec<String>,
    /// The training's tag.
    pub tag: Option<String>,
    /// The job's name.
    pub job: Option<String>,
}

impl Scope {
    /// What the options of a run designate.
    pub fn of(options: &Values, tag: &str, job: &str) -> Self {
        Self {
            locations: options.locations().to_vec(),
            roles: options.roles().to_vec(),
            tag: Some(tag.to_owned()),
            job: Some(job.to_owned()),
        }
    }
}

/// What a driver asks the host to do.
#[derive(Clone, Copy, Debug)]
pub enum Verb<'a> {
    /// Build an image under this name, or look at it.
    Image(&'a str),
    /// Run, read, stop or remove a container of this job.
    Container(&'a str),
    /// Tell who the user is, and where.
    Identity,
    /// Look a role up, or pass it on.
    Role(&'a str),
    /// Make a repository of this name, and push to it.
    Repository(&'a str),
    /// Look at a place in S3, or have results written there.
    Location(&'a S3Location),
    /// Look at a bucket as a whole, without its content.
    Bucket(&'a str),
    /// Start, look at or stop this job.
    TrainingJob(&'a str),
    /// Read this job's log.
    Log {
        /// The job.
        job: &'a str,
        /// The group of streams.
        group: &'a str,
        /// The stream, or none for the list of streams.
        stream: Option<&'a str>,
    },
}

/// Where SageMaker writes the logs of training jobs.
const LOG_GROUP: &str = "/aws/sagemaker/TrainingJobs";

impl Authority {
    /// Allows a verb, or says what would allow it.
    ///
    /// # Errors
    /// [`Kind::Denied`].
    pub fn decide(&self, verb: Verb<'_>) -> Result<()> {
        let scope = &self.scope;
        let is = |designated: &Option<String>, asked: &str| designated.as_deref() == Some(asked);
        let (capability, designated) = match verb {
            Verb::Image(name) => (Capability::Docker, is(&scope.tag, name)),
            Verb::Container(job) => (Capability::Docker, is(&scope.job, job)),
            Verb::Identity => (Capability::AwsIdentity, true),
            Verb::Role(name) => (Capability::AwsIdentity, scope.roles.iter().any(|role| is_role(role, name))),
            Verb::Repository(name) => (Capability::Ecr, is(&scope.tag, name)),
            Verb::Location(place) => {
                (Capability::S3, scope.locations.iter().any(|holder| holder.holds(place)))
            }
            Verb::Bucket(bucket) => {
                (Capability::S3, scope.locations.iter().any(|holder| holder.bucket == bucket))
            }
            Verb::TrainingJob(job) => (Capability::Sagemaker, is(&scope.job, job)),
            Verb::Log { job, group, stream } => {
                let of_job = stream
                    .is_none_or(|stream| stream.strip_prefix(job).is_some_and(|rest| rest.starts_with('/')));
                (Capability::CloudwatchLogs, is(&scope.job, job) && group == LOG_GROUP && of_job)
            }
        };
        if !self.granted.contains(&capability) {
            return Err(Error::new(
                Kind::Denied,
                format!("the plugin {} was not granted {capability}", self.plugin),
            )
            .hint(format!("to allow it: `alekseylearn plugin grant {} {capability}`", self.plugin)));
        }
        if !designated {
            return Err(Error::new(
                Kind::Denied,
                format!("the plugin {} may not touch {}", self.plugin, verb.object()),
            )
            .hint(verb.remedy()));
        }
        Ok(())
    }
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

impl Verb<'_> {
    fn object(self) -> String {
        match self {
            Self::Image(name) => format!("the image {name}"),
            Self::Container(job) => format!("the containers of the job {job}"),
            Self::Identity => "your identity".into(),
            Self::Role(name) => format!("the role {name}"),
            Self::Repository(name) => format!("the repository {name}"),
            Self::Location(place) => place.to_string(),
            Self::Bucket(bucket) => format!("the bucket {bucket}"),
            Self::TrainingJob(job) => format!("the job {job}"),
            Self::Log { group, stream, .. } => format!("the log {group} {}", stream.unwrap_or_default()),
        }
    }

    /// What the user would have to say for it to be allowed.
    fn remedy(self) -> String {
        match self {
            Self::Location(place) => format!("it may touch what you name: --config.output_path={place}"),
            Self::Bucket(bucket) => format!("it may touch what you name: --config.output_path=s3://{bucket}"),
            Self::Role(role) => format!("it may pass on what you name: --config.role_name={role}"),
            _ => "a run may touch only its own image, repository and job".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> Authority {
        Authority {
            plugin: "test".into(),
            granted: Capability::ALL.into(),
            scope: Scope {
                locations: vec!["s3://bucket/pre".parse().unwrap()],
                roles: vec!["trainer".into()],
                tag: Some("models/train".into()),
                job: Some("models-train-1".into()),
            },
        }
    }

    fn place(text: &str) -> S3Location {
        text.parse().unwrap()
    }

    #[test]
    fn what_the_command_line_designates_is_allowed() {
        let authority = authority();
        for verb in [
            Verb::Image("models/train"),
            Verb::Container("models-train-1"),
            Verb::Identity,
            Verb::Role("trainer"),
            Verb::Role("arn:aws:iam::123456789012:role/service/trainer"),
            Verb::Repository("models/train"),
            Verb::Location(&place("s3://bucket/pre/job/output/model.tar.gz")),
            Verb::Bucket("bucket"),
            Verb::TrainingJob("models-train-1"),
            Verb::Log { job: "models-train-1", group: LOG_GROUP, stream: Some("models-train-1/algo-1-1") },
        ] {
            authority.decide(verb).unwrap();
        }
    }

    #[test]
    fn nothing_else_is() {
        let authority = authority();
        for verb in [
            Verb::Image("other"),
            Verb::Container("models-train-2"),
            Verb::Role("admin"),
            Verb::Role("arn:aws:iam::123456789012:role/not-trainer"),
            Verb::Repository("models"),
            Verb::Location(&place("s3://bucket/prefix")),
            Verb::Location(&place("s3://bucket")),
            Verb::Location(&place("s3://other/pre")),
            Verb::Bucket("other"),
            Verb::TrainingJob("models-train-2"),
            Verb::Log { job: "models-train-1", group: "/aws/lambda/x", stream: None },
            Verb::Log { job: "models-train-1", group: LOG_GROUP, stream: Some("models-train-10/algo-1-1") },
        ] {
            let error = authority.decide(verb).unwrap_err();
            assert_eq!(error.kind(), Kind::Denied);
            assert!(error.hint_text().is_some());
        }
    }

    #[test]
    fn a_capability_that_was_not_granted_is_denied() {
        let authority = Authority { granted: [Capability::Docker].into(), ..authority() };
        authority.decide(Verb::Image("models/train")).unwrap();
        let error = authority.decide(Verb::Identity).unwrap_err();
        assert_eq!(error.message(), "the plugin test was not granted aws-identity");
    }
}
