//! Grants: what a user may allow a plugin. A grant is a capability of the contract or an origin to send requests to.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    origin::{Origin, Origins},
    pattern::Pattern,
};
use crate::capability::http::CredentialSource;

/// An interface of the contract that needs a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Build images and run containers.
    Docker,
    /// Assemble images without an engine.
    Oci,
    /// Start processes on this machine: for shipped drivers alone.
    Process,
    /// Read the AWS account, look up roles.
    AwsIdentity,
    /// Create image repositories.
    Ecr,
    /// Look up buckets and objects, upload input folders.
    S3,
    /// Start and stop training jobs.
    Sagemaker,
    /// Read the logs of jobs.
    CloudwatchLogs,
}

impl Capability {
    /// The interface that a plugin imports to use it.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Oci => "oci",
            Self::Process => "process",
            Self::AwsIdentity => "aws-identity",
            Self::Ecr => "ecr",
            Self::S3 => "s3",
            Self::Sagemaker => "sagemaker",
            Self::CloudwatchLogs => "cloudwatch-logs",
        }
    }

    /// All capabilities.
    pub const ALL: [Self; 8] = [
        Self::Docker,
        Self::Oci,
        Self::Process,
        Self::AwsIdentity,
        Self::Ecr,
        Self::S3,
        Self::Sagemaker,
        Self::CloudwatchLogs,
    ];

    /// The capability with that interface name; `None` if there is no such capability.
    pub fn of_interface(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.interface() == name)
    }

    const fn at_worst(self) -> &'static str {
        match self {
            Self::Docker => {
                "run any program on your Docker engine, in image builds and in its jobs' containers, with Docker's \
                 network access, which may include your own network; so it could send the project's files, and the \
                 input folders that you name, anywhere"
            }
            Self::Oci => {
                "put any file into the image that is trained, on top of any base image that needs no login, also one in your \
                 own network; the name of that image could carry the project's data to any registry"
            }
            Self::Process => {
                "nothing: only drivers that ship with alekseylearn may start processes on this machine"
            }
            Self::AwsIdentity => "read your AWS account ID and region, and look up the role that you name",
            Self::Ecr => "create the training's image repository in your AWS account",
            Self::S3 => {
                "list the S3 locations that you name and upload the input folders that you name there, but not \
                 read objects"
            }
            Self::Sagemaker => {
                "start training jobs that cost money, with the role and output path that you name, and read your \
                 account's training quota"
            }
            Self::CloudwatchLogs => "read the logs of its own jobs",
        }
    }
}

/// Requests to one origin (`https://api.example.com`) or to all that match a pattern (`https://*-api.example.com`), and
/// the credential that the host adds to each request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requests {
    /// The origins that requests may go to.
    pub origins: Origins,
    /// If set, only read requests are allowed, and only to addresses of locations that the run designates.
    pub places: Option<Box<Pattern>>,
    /// The credential that the host adds. The plugin never sees it.
    pub credential: Option<CredentialSource>,
    /// Whether the host name may resolve to an address in the user's own networks.
    pub private: bool,
}

/// The prefix of an origin that may be in the user's own networks.
const PRIVATE: &str = "private:";

/// One grant that a plugin wants or has, written as `docker`, `https://api.example.com`,
/// `https://api.example.com=env:TOKEN`, `private:https://mlflow.example.com` or
/// `https://storage.example.com/{gs.bucket}/{gs.key}=google`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Grant {
    /// A capability of the contract.
    Capability(Capability),
    /// Requests to an origin.
    Requests(Requests),
}

impl Grant {
    /// The worst that a plugin could do with it, for the user who decides.
    pub fn at_worst(&self) -> String {
        let Requests { origins, places, credential, private } = match self {
            Self::Capability(capability) => return capability.at_worst().to_owned(),
            Self::Requests(requests) => requests,
        };
        let credential = credential
            .as_ref()
            .map(|credential| format!(", with {} added by alekseylearn", credential.described()));
        let place = match (private, origins.is_this_machine()) {
            (true, _) => ", even if that is a machine in your own network",
            (false, true) => ", a program on this machine",
            (false, false) => "",
        };
        let credential = credential.unwrap_or_default();
        match places {
            Some(places) => format!(
                "read {origins}{places}{credential}{place}, but only the {}:// locations that you name",
                places.scheme()
            ),
            None => format!(
                "send requests to {origins}{credential}{place}: it could send the project's files there"
            ),
        }
    }

    /// Whether a credential of one service goes only to hosts of that service. For other hosts, the user must type the
    /// grant.
    pub fn keeps_to_its_service(&self) -> bool {
        match self {
            Self::Requests(Requests { origins, credential: Some(credential), .. }) => {
                let hosts = credential.hosts();
                hosts.is_empty() || (!origins.is_this_machine() && origins.all_below(hosts))
            }
            _ => true,
        }
    }

    /// Whether both grants are for the same capability, or for the same addresses of one origin.
    fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Requests(one), Self::Requests(other)) => {
                (&one.origins, &one.places) == (&other.origins, &other.places)
            }
            (one, other) => one == other,
        }
    }

    /// Whether this grant replaces the other one, or is for the whole origin of the other one.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Requests(one), Self::Requests(other)) if one.places.is_none() => {
                one.origins == other.origins
            }
            (one, other) => one.replaces(other),
        }
    }
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(capability) = Capability::of_interface(text) {
            return Ok(Self::Capability(capability));
        }
        if !text.contains(':') {
            let all: Vec<&str> = Capability::ALL.iter().map(|capability| capability.interface()).collect();
            return Err(format!(
                "`{text}` is not a grant: expected one of {}, or an origin such as https://api.example.com",
                all.join(", ")
            ));
        }
        let (private, rest) = match text.strip_prefix(PRIVATE) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // `={` belongs to a query parameter and does not begin a credential.
        let is_end = |(at, _): &(usize, &str)| !rest[at + 1..].starts_with('{');
        let (address, credential) = match rest.match_indices('=').find(is_end) {
            Some((at, _)) => (&rest[..at], Some(rest[at + 1..].parse()?)),
            None => (rest, None),
        };
        let (origin, places) = match address.find('{').and_then(|_| address.get(8..)?.find('/')) {
            Some(at) => (&address[..8 + at], Some(Box::new(address[8 + at..].parse()?))),
            None => (address, None),
        };
        Ok(Self::Requests(Requests { origins: origin.parse()?, places, credential, private }))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability(capability) => f.write_str(capability.interface()),
            Self::Requests(requests) => requests.fmt(f),
        }
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let private = if self.private { PRIVATE } else { "" };
        write!(f, "{private}{}", self.origins)?;
        self.places.as_ref().map_or(Ok(()), |places| places.fmt(f))?;
        self.credential.as_ref().map_or(Ok(()), |credential| write!(f, "={credential}"))
    }
}

impl TryFrom<String> for Grant {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

impl From<Capability> for Grant {
    fn from(capability: Capability) -> Self {
        Self::Capability(capability)
    }
}

/// All grants that a plugin wants or has, with one grant for the same addresses of an origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Grant>", into = "Vec<Grant>")]
pub struct Grants(BTreeSet<Grant>);

impl Grants {
    /// The grants in order.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    /// Whether there are no grants.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it contains exactly this grant.
    pub fn has(&self, grant: &Grant) -> bool {
        self.0.contains(grant)
    }

    /// Adds a grant, and replaces the one for the same addresses.
    pub fn add(&mut self, grant: Grant) {
        self.0.retain(|known| !grant.replaces(known));
        self.0.insert(grant);
    }

    /// Removes a capability, or all grants for an origin, with any credential.
    pub fn remove(&mut self, grant: &Grant) {
        self.0.retain(|known| !grant.covers(known));
    }

    /// The grants that are not in `others`.
    pub fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).cloned().collect())
    }

    /// Applies the changes from `before` to `now` to these grants: what was revoked or added there is revoked or added
    /// here.
    pub fn follow(&mut self, before: &Self, now: &Self) {
        before.without(now).iter().for_each(|revoked| self.remove(revoked));
        self.extend(now.without(before));
    }

    /// Keeps only the grants for which `keep` returns true.
    pub fn retain(&mut self, keep: impl FnMut(&Grant) -> bool) {
        self.0.retain(keep);
    }

    /// The grant for a whole origin. A grant for exactly that origin wins over one for a pattern.
    pub(crate) fn requests(&self, to: &Origin) -> Option<&Requests> {
        let whole = self.all_requests(to).filter(|requests| requests.places.is_none());
        whole.min_by_key(|requests| matches!(requests.origins, Origins::Like(_)))
    }

    /// All grants for an origin, for the whole origin or for some of its addresses.
    pub(crate) fn all_requests(&self, to: &Origin) -> impl Iterator<Item = &Requests> {
        self.0.iter().filter_map(move |grant| match grant {
            Grant::Requests(requests) if requests.origins.hold(to) => Some(requests),
            _ => None,
        })
    }

    /// The grants in the form that `--grant` takes.
    pub fn spelled_out(&self) -> String {
        let grants: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        grants.join(",")
    }
}

impl Extend<Grant> for Grants {
    fn extend<T: IntoIterator<Item = Grant>>(&mut self, grants: T) {
        grants.into_iter().for_each(|grant| self.add(grant));
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<T: IntoIterator<Item = Grant>>(grants: T) -> Self {
        let mut all = Self::default();
        all.extend(grants);
        all
    }
}

impl IntoIterator for Grants {
    type Item = Grant;
    type IntoIter = std::collections::btree_set::IntoIter<Grant>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Vec<Grant>> for Grants {
    fn from(grants: Vec<Grant>) -> Self {
        grants.into_iter().collect()
    }
}

impl From<Grants> for Vec<Grant> {
    fn from(grants: Grants) -> Self {
        grants.into_iter().collect()
    }
}

/// A comma-separated list, or `-` if there are no grants.
impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grants: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(if grants.is_empty() { "-" } else { "" })?;
        f.write_str(&grants.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(texts: &[&str]) -> Grants {
        texts.iter().map(|text| text.parse::<Grant>().unwrap()).collect()
    }

    #[test]
    fn a_grant_is_written_as_it_is_read() {
        for text in [
            "docker",
            "cloudwatch-logs",
            "https://api.example.com",
            "https://api.example.com:8443=env:TOKEN",
            "https://api.example.com=file:~/.config/a=b",
            "private:https://mlflow.example.com=file:/run/secret",
            "http://127.0.0.1:8080",
            "https://*-api.example.com=google",
            "https://a.example/b/{gs.bucket}/o/{gs.key}",
            "https://a.example/b/{gs.bucket}/o?prefix={gs.key}/=google",
            "private:https://a.example:8443/{gs.bucket}=file:/a=b",
        ] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
        for (text, says) in [
            ("everything", "is not a grant: expected one of docker"),
            ("http://example.com", "http:// is allowed only for this machine"),
            ("https://example.com=token", "is not a source of credentials"),
            ("https://example.com=", "is not a source of credentials"),
            ("private:docker", "is not an origin"),
            ("https://a.example/b", "it must end after the host"),
            ("https://a.example/b/{gs.key}", "is not a valid location pattern"),
            ("https://a{gs.bucket}.example", "is not an origin"),
        ] {
            let problem = text.parse::<Grant>().unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn a_grant_describes_the_worst_that_it_allows() {
        let says = |text: &str| text.parse::<Grant>().unwrap().at_worst();
        assert!(says("s3").starts_with("list the S3 locations"));
        assert_eq!(
            says("https://api.example.com=env:EXAMPLE_TOKEN"),
            "send requests to https://api.example.com, with the token of EXAMPLE_TOKEN added by alekseylearn: it \
             could send the project's files there"
        );
        assert!(says("https://a.example=file:~/t").contains(", with the token in ~/t added by alekseylearn"));
        assert!(says("private:https://a.example").contains("a machine in your own network"));
        assert_eq!(
            says("https://a.example/b/{gs.bucket}=google"),
            "read https://a.example/b/{gs.bucket}, with your Google credentials added by alekseylearn, but only \
             the gs:// locations that you name"
        );
        assert!(says("http://localhost:80").contains("http://localhost, a program on this machine"));
    }

    #[test]
    fn a_services_credential_goes_only_to_its_service() {
        for (grant, keeps) in [
            ("https://storage.googleapis.com=google", true),
            ("https://*-docker.pkg.dev=google", true),
            ("https://us-central1-aiplatform.googleapis.com=google", true),
            ("https://evil.example=google", false),
            ("https://googleapis.com.evil.example=google", false),
            ("https://evilgoogleapis.com=google", false),
            ("http://127.0.0.1:1=google", false),
            ("https://api.kaggle.com=google", false),
            ("https://api.kaggle.com=kaggle", true),
            ("https://www.kaggle.com=kaggle", true),
            ("https://evil.example=kaggle", false),
            ("https://storage.googleapis.com=kaggle", false),
            ("https://evil.example=env:TOKEN", true),
            ("https://evil.example", true),
            ("docker", true),
        ] {
            assert_eq!(grant.parse::<Grant>().unwrap().keeps_to_its_service(), keeps, "{grant}");
        }
    }

    #[test]
    fn an_origin_has_one_grant() {
        let mut some = grants(&["docker", "https://a.example=env:A"]);
        some.extend(grants(&["HTTPS://A.example:443=env:B", "s3"]));
        assert_eq!(some.to_string(), "docker, s3, https://a.example=env:B");
        assert_eq!(some.spelled_out(), "docker,s3,https://a.example=env:B");
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        assert_eq!(
            some.requests(&origin("https://a.example")).unwrap().credential.as_ref().unwrap().to_string(),
            "env:B"
        );
        assert_eq!(some.requests(&origin("https://a.example:8443")), None);
        // Another credential, or a wider reach, is another grant.
        for other in ["https://a.example", "https://a.example=env:A", "private:https://a.example=env:B"] {
            assert!(!grants(&[other]).without(&some).is_empty(), "{other}");
        }
        some.extend(grants(&["https://*-x.a.example=google", "https://one-x.a.example=env:A"]));
        let credential = |some: &Grants, text: &str| {
            some.requests(&origin(text)).unwrap().credential.clone().unwrap().to_string()
        };
        assert_eq!(credential(&some, "https://two-x.a.example"), "google");
        assert_eq!(credential(&some, "https://one-x.a.example"), "env:A");
        let place = grants(&["https://a.example/{gs.bucket}=google"]);
        some.extend(place.clone());
        assert_eq!(credential(&some, "https://a.example"), "env:B");
        some.remove(&place.iter().next().unwrap().clone());
        assert_eq!(credential(&some, "https://a.example"), "env:B");
        some.extend(place.clone());
        some.remove(&"https://*-x.a.example".parse().unwrap());
        assert_eq!(some.requests(&origin("https://two-x.a.example")), None);
        some.remove(&"https://one-x.a.example".parse().unwrap());
        some.remove(&"https://a.example".parse().unwrap());
        some.remove(&"docker".parse().unwrap());
        assert_eq!(some, grants(&["s3"]));
        assert_eq!(Grants::default().to_string(), "-");
    }

    #[test]
    fn grants_from_before_there_were_origins_are_read() {
        let old: Grants = serde_json::from_str(r#"["docker", "aws-identity"]"#).unwrap();
        assert_eq!(old, grants(&["docker", "aws-identity"]));
        assert_eq!(serde_json::to_string(&old).unwrap(), r#"["docker","aws-identity"]"#);
        assert!(serde_json::from_str::<Grants>(r#"["everything"]"#).is_err());
    }
}
