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
    /// Read a folder of this machine.
    Folder(&'a str),
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
            Self::Folder(folder) => format!("read the folder {folder}"),
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
