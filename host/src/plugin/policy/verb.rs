//! Verbs: what a driver asks the host to do. [`super::authority`] decides each of them.

use std::net::IpAddr;

use url::Url;

use super::{address::Region, origin::Origin};
use crate::config::Location;

/// What a driver asks the host to do.
#[derive(Clone, Copy, Debug)]
pub enum Verb<'a> {
    /// Query the Docker engine's features.
    Engine,
    /// Build an image of this name, or inspect it.
    Image(&'a str),
    /// Assemble an image of this name without an engine.
    Assembly(&'a str),
    /// Add a file with this path to a build.
    BuildFile(&'a str),
    /// Run, read, stop or remove a container of this job.
    Container(&'a str),
    /// Start, query or stop the process of a job on this machine.
    Process(&'a str),
    /// Let the process read a folder of this machine.
    ProcessInput(&'a str),
    /// Read or write a file in the job's folder, by its relative path.
    JobFile(&'a str),
    /// Read the AWS account and region.
    Identity,
    /// Look up a role, or pass it to a service.
    Role(&'a str),
    /// Create a repository of this name, and push to it.
    Repository(&'a str),
    /// Push the image to a repository.
    Push {
        /// The repository's address.
        address: &'a str,
        /// Whether the host prepared it in the same call.
        made_ready: bool,
        /// The registry; `None` if the address has none.
        registry: Option<&'a Origin>,
    },
    /// Look up a location in S3, or have results written there.
    Location(&'a Location),
    /// Mount a folder of this machine in a container, read-only.
    Mount(&'a str),
    /// Read a folder of this machine, to detect changes.
    Hash(&'a str),
    /// Upload a folder of this machine.
    Send {
        /// The folder.
        folder: &'a str,
        /// The location to upload it to.
        place: &'a Location,
    },
    /// Look up a bucket, without its content.
    Bucket(&'a str),
    /// Start, describe or stop this job.
    TrainingJob(&'a str),
    /// Read the account's training quota.
    TrainingQuota,
    /// Let the job use another cloud resource: a location, a key, a network, a file system or an image.
    Resource(&'a str),
    /// Read this job's log.
    Log {
        /// The job.
        job: &'a str,
        /// The log group.
        group: &'a str,
        /// The log stream; `None` for the list of streams.
        stream: Option<&'a str>,
    },
    /// Send a request.
    Request {
        /// The origin of the address.
        origin: &'a Origin,
        /// The whole address.
        address: &'a Url,
        /// The method.
        method: &'a str,
        /// Whether the driver set its own credential: `Authorization` or `Cookie`.
        own_credential: bool,
        /// Whether it overrides its method, for example with `X-HTTP-Method-Override`.
        disguised: bool,
    },
    /// Read the owner of the credential for an origin.
    Credential(&'a Origin),
    /// Connect to an address, for a request that is allowed.
    Address {
        /// The origin of the request.
        origin: &'a Origin,
        /// The address that its host resolves to.
        address: IpAddr,
    },
}

impl Verb<'_> {
    /// The verb and its object for the audit log, without the query of an address.
    pub(crate) fn audited(self) -> (&'static str, String) {
        match self {
            Self::Engine => ("docker engine", String::new()),
            Self::Image(name) => ("docker image", name.to_owned()),
            Self::Assembly(name) => ("oci image", name.to_owned()),
            Self::BuildFile(path) => ("docker build file", path.to_owned()),
            Self::Container(job) => ("docker container", job.to_owned()),
            Self::Mount(folder) => ("docker input", folder.to_owned()),
            Self::Process(job) => ("process", job.to_owned()),
            Self::ProcessInput(folder) => ("process input", folder.to_owned()),
            Self::JobFile(path) => ("job file", path.to_owned()),
            Self::Identity => ("identity", String::new()),
            Self::Role(name) => ("role", name.to_owned()),
            Self::Repository(name) => ("ecr repository", name.to_owned()),
            Self::Push { address, .. } => ("push", address.to_owned()),
            Self::Location(place) => ("s3 place", place.to_string()),
            Self::Hash(folder) => ("s3 folder hash", folder.to_owned()),
            Self::Send { folder, place } => ("s3 send", format!("{folder} to {place}")),
            Self::Bucket(bucket) => ("s3 bucket", bucket.to_owned()),
            Self::TrainingJob(job) => ("sagemaker job", job.to_owned()),
            Self::TrainingQuota => ("sagemaker quota", String::new()),
            Self::Resource(name) => ("sagemaker resource", name.to_owned()),
            Self::Log { group, stream, .. } => {
                ("log", format!("{group} {}", stream.unwrap_or_default()).trim_end().to_owned())
            }
            Self::Request { origin, address, method, .. } => {
                ("request", format!("{method} {origin}{}", address.path()))
            }
            Self::Credential(origin) => ("credential", origin.to_string()),
            Self::Address { origin, address } => ("address", format!("{origin} at {address}")),
        }
    }

    /// The verb as a phrase that follows "may not".
    pub(crate) fn deed(self) -> String {
        match self {
            Self::Engine => "query the Docker engine".into(),
            Self::Image(name) => format!("use the image {name}"),
            Self::Assembly(name) => format!("assemble the image {name}"),
            Self::BuildFile(path) => format!("add the file `{path}` to a build"),
            Self::Container(job) => format!("use the containers of the job {job}"),
            Self::Process(job) => format!("use the process of the job {job}"),
            Self::JobFile(path) => format!("access `{path}`, outside the job's folder"),
            Self::Identity => "read your AWS identity".into(),
            Self::Role(name) => format!("use the role {name}"),
            Self::Repository(name) => format!("use the repository {name}"),
            Self::Push { address, .. } => format!("push the image to {address}"),
            Self::Location(place) => format!("access {place}"),
            Self::Mount(folder) | Self::Hash(folder) | Self::ProcessInput(folder) => {
                format!("read the folder {folder}")
            }
            Self::Send { folder, place } => format!("upload the folder {folder} to {place}"),
            Self::Bucket(bucket) => format!("access the bucket {bucket}"),
            Self::TrainingJob(job) => format!("access the job {job}"),
            Self::TrainingQuota => "read your account's training quota".into(),
            Self::Resource(name) => format!("use {name} in the job"),
            Self::Log { group, stream, .. } => {
                format!("read the log {group} {}", stream.unwrap_or_default()).trim_end().to_owned()
            }
            Self::Request { origin, own_credential: true, .. } => {
                format!("send its own credential to {origin} in addition to the one that alekseylearn adds")
            }
            Self::Request { origin, method, disguised: true, .. } => {
                format!("send {method} to {origin} with a method override")
            }
            Self::Request { origin, method, .. } => format!("send {method} to {origin}"),
            Self::Credential(origin) => format!("read whose credential is used for {origin}"),
            Self::Address { origin, address } => {
                let place = match Region::of(address) {
                    Region::Public => "on another machine",
                    Region::Private => "in your own network",
                    Region::ThisMachine => "on this machine",
                    Region::Nowhere => "a reserved address",
                };
                format!("reach {origin} at {address}, which is {place}")
            }
        }
    }
}
