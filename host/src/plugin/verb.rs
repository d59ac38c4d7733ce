//! What a driver asks the host to do, as the one question that [`super::authority`] answers.

use std::net::IpAddr;

use url::Url;

use super::{address::Region, origin::Origin};
use crate::config::Location;

/// What a driver asks the host to do.
#[derive(Clone, Copy, Debug)]
pub enum Verb<'a> {
    /// Ask what the Docker engine can do.
    Engine,
    /// Build an image under this name, or look at it.
    Image(&'a str),
    /// Send a file of this path to a build, beside the training folder's.
    BuildFile(&'a str),
    /// Run, read, stop or remove a container of this job.
    Container(&'a str),
    /// Read or write a file of the job's folder, by its path in there.
    JobFile(&'a str),
    /// Tell who the user is, and where.
    Identity,
    /// Look a role up, or pass it on.
    Role(&'a str),
    /// Make a repository of this name, and push to it.
    Repository(&'a str),
    /// Send the image to a repository.
    Push {
        /// Where to.
        address: &'a str,
        /// The host made it ready in the same call.
        made_ready: bool,
        /// The registry, where the address names one.
        registry: Option<&'a Origin>,
    },
    /// Look at a place in S3, or have results written there.
    Location(&'a Location),
    /// Let a container read a folder of this machine.
    Mount(&'a str),
    /// Read a folder of this machine, to tell whether it changed.
    Hash(&'a str),
    /// Send a folder of this machine.
    Send {
        /// Which.
        folder: &'a str,
        /// Where to.
        place: &'a Location,
    },
    /// Look at a bucket as a whole, without its content.
    Bucket(&'a str),
    /// Start, look at or stop this job.
    TrainingJob(&'a str),
    /// Learn on how many instances the account may train.
    TrainingQuota,
    /// Have the job use something else in the cloud: a place, a key, a network, a file system, an image.
    Resource(&'a str),
    /// Read this job's log.
    Log {
        /// The job.
        job: &'a str,
        /// The group of streams.
        group: &'a str,
        /// The stream, or none for the list of streams.
        stream: Option<&'a str>,
    },
    /// Send a request.
    Request {
        /// Where to.
        origin: &'a Origin,
        /// The whole address.
        address: &'a Url,
        /// The method.
        method: &'a str,
        /// It carries a credential of the driver's own: `Authorization` or `Cookie`.
        own_credential: bool,
        /// It asks for another method than its own, as `X-HTTP-Method-Override` does.
        disguised: bool,
    },
    /// Learn whose credential goes to an origin.
    Credential(&'a Origin),
    /// Connect to an address, for a request that is allowed.
    Address {
        /// Where the request goes.
        origin: &'a Origin,
        /// What its name led to.
        address: IpAddr,
    },
}

impl Verb<'_> {
    /// The verb and what it is about, as an audit log keeps them: without the query of an address.
    pub(super) fn audited(self) -> (&'static str, String) {
        match self {
            Self::Engine => ("docker engine", String::new()),
            Self::Image(name) => ("docker image", name.to_owned()),
            Self::BuildFile(path) => ("docker build file", path.to_owned()),
            Self::Container(job) => ("docker container", job.to_owned()),
            Self::Mount(folder) => ("docker input", folder.to_owned()),
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

    /// As in "it may not …".
    pub(super) fn deed(self) -> String {
        match self {
            Self::Engine => "ask the Docker engine".into(),
            Self::Image(name) => format!("touch the image {name}"),
            Self::BuildFile(path) => format!("send a file `{path}` to a build"),
            Self::Container(job) => format!("touch the containers of the job {job}"),
            Self::JobFile(path) => format!("touch `{path}`, outside of the job's folder"),
            Self::Identity => "learn your identity".into(),
            Self::Role(name) => format!("touch the role {name}"),
            Self::Repository(name) => format!("touch the repository {name}"),
            Self::Push { address, .. } => format!("send the image to {address}"),
            Self::Location(place) => format!("touch {place}"),
            Self::Mount(folder) | Self::Hash(folder) => format!("read the folder {folder}"),
            Self::Send { folder, place } => format!("send the folder {folder} to {place}"),
            Self::Bucket(bucket) => format!("touch the bucket {bucket}"),
            Self::TrainingJob(job) => format!("touch the job {job}"),
            Self::TrainingQuota => "learn on how many instances your account may train".into(),
            Self::Resource(name) => format!("have the job use {name}"),
            Self::Log { group, stream, .. } => {
                format!("read the log {group} {}", stream.unwrap_or_default()).trim_end().to_owned()
            }
            Self::Request { origin, own_credential: true, .. } => {
                format!("send a credential of its own to {origin}, beside the one that alekseylearn adds")
            }
            Self::Request { origin, method, disguised: true, .. } => {
                format!("send {method} to {origin} that stands for another method")
            }
            Self::Request { origin, method, .. } => format!("send {method} to {origin}"),
            Self::Credential(origin) => format!("learn whose credential goes to {origin}"),
            Self::Address { origin, address } => {
                let place = match Region::of(address) {
                    Region::Public => "another machine",
                    Region::Private => "in your own network",
                    Region::ThisMachine => "on this machine",
                    Region::Nowhere => "no service's address",
                };
                format!("reach {origin} at {address}, which is {place}")
            }
        }
    }
}
