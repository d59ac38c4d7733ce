//! What a user may allow a plugin: parts of the contract, and origins to send requests to.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    origin::{Origin, Origins},
    pattern::Pattern,
};
use crate::capability::http::CredentialSource;

/// A part of the contract that touches the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    const fn at_worst(self) -> &'static str {
        match self {
            Self::Docker => {
                "run any program on your Docker engine, in image builds and in containers of its own jobs, with the \
                 network that Docker gives them, which may be your own network too; and so send the training folder's \
                 files, and the input folders that you name, anywhere"
            }
            Self::AwsIdentity => {
                "learn your AWS account's number and region, and look at the role that you name"
            }
            Self::Ecr => "make the training's image repository in your AWS account",
            Self::S3 => "list what is under the S3 locations that you name, but read none of it",
            Self::Sagemaker => {
                "start training jobs that cost money, with the role and output path that you name, and learn on how many \
                 instances your account may train"
            }
            Self::CloudwatchLogs => "read what its own jobs write",
        }
    }
}

/// Requests to an origin, `https://api.example.com`, or to all of a kind, `https://*-api.example.com`, and the credential
/// that the host adds to each of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requests {
    /// Where to.
    pub origins: Origins,
    /// Only to read, and only at such addresses of what the run designates.
    pub places: Option<Box<Pattern>>,
    /// Added by the host, and never seen by the plugin.
    pub credential: Option<CredentialSource>,
    /// Also where the name leads into the user's own networks.
    pub private: bool,
}

/// Written before an origin that may lie in the user's own networks.
const PRIVATE: &str = "private:";

/// One thing that a plugin wants or was granted, written as `docker`, `https://api.example.com`,
/// `https://api.example.com=env:TOKEN`, `private:https://mlflow.example.com` or
/// `https://storage.example.com/{gs.bucket}/{gs.key}=google`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Grant {
    /// A part of the contract.
    Capability(Capability),
    /// Requests to an origin.
    Requests(Requests),
}

impl Grant {
    /// What a plugin could do with it at worst, for a person who decides.
    pub fn at_worst(&self) -> String {
        let Requests { origins, places, credential, private } = match self {
            Self::Capability(capability) => return capability.at_worst().to_owned(),
            Self::Requests(requests) => requests,
        };
        let credential = credential
            .as_ref()
            .map(|credential| format!(", with {} added by alekseylearn", credential.described()));
        let place = match (private, origins.is_this_machine()) {
            (true, _) => ", also where that is a machine in your own network",
            (false, true) => ", a program on this machine",
            (false, false) => "",
        };
        let credential = credential.unwrap_or_default();
        match places {
            Some(places) => format!(
                "read {origins}{places}{credential}{place}, of the {}:// places that you name, and nothing else there",
                places.scheme()
            ),
            None => format!(
                "send requests to {origins}{credential}{place}: the training folder's files could go there"
            ),
        }
    }

    /// A credential that is of one service goes to hosts of that service alone. Another place must be typed by the user.
    pub fn keeps_to_its_service(&self) -> bool {
        match self {
            Self::Requests(Requests { origins, credential: Some(credential), .. }) => {
                let hosts = credential.hosts();
                hosts.is_empty() || (!origins.is_this_machine() && origins.all_below(hosts))
            }
            _ => true,
        }
    }

    /// Both are of one capability, or of the same addresses of one origin.
    fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Requests(one), Self::Requests(other)) => {
                (&one.origins, &one.places) == (&other.origins, &other.places)
            }
            (one, other) => one == other,
        }
    }

    /// The same, or of an origin of which this is all.
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
                "`{text}` is none of {}, and no origin such as https://api.example.com",
                all.join(", ")
            ));
        }
        let (private, rest) = match text.strip_prefix(PRIVATE) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // What a parameter of a query is, is no credential.
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

/// All that a plugin wants or was granted; one grant for each origin, or for the same addresses of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Grant>", into = "Vec<Grant>")]
pub struct Grants(BTreeSet<Grant>);

impl Grants {
    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    /// There is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This very grant is among them.
    pub fn has(&self, grant: &Grant) -> bool {
        self.0.contains(grant)
    }

    /// Takes the place of what was said of the same origin.
    pub fn add(&mut self, grant: Grant) {
        self.0.retain(|known| !grant.replaces(known));
        self.0.insert(grant);
    }

    /// Takes a capability away, or an origin with all that was said of it, whatever its credential.
    pub fn remove(&mut self, grant: &Grant) {
        self.0.retain(|known| !grant.covers(known));
    }

    /// Those that are not among the others.
    pub fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).cloned().collect())
    }

    /// These were chosen with others in view, which have changed since: what was taken away or given there is here too.
    pub fn follow(&mut self, before: &Self, now: &Self) {
        before.without(now).iter().for_each(|revoked| self.remove(revoked));
        self.extend(now.without(before));
    }

    /// Only those.
    pub fn retain(&mut self, keep: impl FnMut(&Grant) -> bool) {
        self.0.retain(keep);
    }

    /// What was granted for an origin as a whole: what was said of that very one counts more than what was said of all of its
    /// kind.
    pub(super) fn requests(&self, to: &Origin) -> Option<&Requests> {
        let whole = self.all_requests(to).filter(|requests| requests.places.is_none());
        whole.min_by_key(|requests| matches!(requests.origins, Origins::Like(_)))
    }

    /// All that was granted for an origin, as a whole or for some of its addresses.
    pub(super) fn all_requests(&self, to: &Origin) -> impl Iterator<Item = &Requests> {
        self.0.iter().filter_map(move |grant| match grant {
            Grant::Requests(requests) if requests.origins.hold(to) => Some(requests),
            _ => None,
        })
    }

    /// As `--grant` takes them.
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

/// A list for a person, or a dash.
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
            ("everything", "is none of docker"),
            ("http://example.com", "without TLS"),
            ("https://example.com=token", "is not a source of credentials"),
            ("https://example.com=", "is not a source of credentials"),
            ("private:docker", "is no origin"),
            ("https://a.example/b", "it ends with the host"),
            ("https://a.example/b/{gs.key}", "stands for no addresses of places"),
            ("https://a{gs.bucket}.example", "is no origin"),
        ] {
            let problem = text.parse::<Grant>().unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn plain_words_say_the_worst() {
        let says = |text: &str| text.parse::<Grant>().unwrap().at_worst();
        assert!(says("s3").starts_with("list what is under"));
        assert_eq!(
            says("https://api.example.com=env:EXAMPLE_TOKEN"),
            "send requests to https://api.example.com, with the token of EXAMPLE_TOKEN added by alekseylearn: the \
             training folder's files could go there"
        );
        assert!(says("https://a.example=file:~/t").contains(", with the token in ~/t added by alekseylearn"));
        assert!(says("private:https://a.example").contains("a machine in your own network"));
        assert_eq!(
            says("https://a.example/b/{gs.bucket}=google"),
            "read https://a.example/b/{gs.bucket}, with your Google credentials added by alekseylearn, of \
             the gs:// places that you name, and nothing else there"
        );
        assert!(says("http://localhost:80").contains("http://localhost, a program on this machine"));
    }

    #[test]
    fn a_services_credential_keeps_to_its_service() {
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
    fn what_was_written_before_there_were_origins_is_read() {
        let old: Grants = serde_json::from_str(r#"["docker", "aws-identity"]"#).unwrap();
        assert_eq!(old, grants(&["docker", "aws-identity"]));
        assert_eq!(serde_json::to_string(&old).unwrap(), r#"["docker","aws-identity"]"#);
        assert!(serde_json::from_str::<Grants>(r#"["everything"]"#).is_err());
    }
}
