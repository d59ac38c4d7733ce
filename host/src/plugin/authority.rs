//! Who may do what: one function decides every verb.
//!
//! A verb is allowed where the plugin was granted its capability **and** the command line designated what it touches:
//! the bucket and prefix of an option like `output_path`, the role of `role_name`, the repository of the training's
//! tag, the job itself. A request is allowed where the plugin was granted its origin, and the address behind it is not
//! in a network that was not.

use std::{
    collections::BTreeSet,
    path::{Component, Path},
};

use super::{
    address::Region,
    grant::{Capability, Grant, Grants, Requests},
    origin::Origin,
    verb::Verb,
};
use crate::{
    config::{S3Location, Values},
    error::{Error, Kind, Result},
};

/// What the user allowed a plugin, and what this run of a command designates.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    /// The plugin's name.
    pub plugin: String,
    /// What it was granted.
    pub granted: Grants,
    /// It is tried out from its file, and not installed.
    pub lent: bool,
    /// It came with the program.
    pub shipped: bool,
    /// What this run may touch.
    pub scope: Scope,
}

/// What one run of a command may touch.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Places in S3.
    pub locations: Vec<S3Location>,
    /// Folders of this machine, by their absolute paths.
    pub folders: Vec<String>,
    /// Roles, by name or ARN.
    pub roles: Vec<String>,
    /// The words of all options that the user gave: what they name, the user named.
    pub words: BTreeSet<String>,
    /// The training's tag.
    pub tag: Option<String>,
    /// The job's name.
    pub job: Option<String>,
    /// Nothing is to be made, started or changed.
    pub dry_run: bool,
}

impl Scope {
    /// What the options of a run designate.
    pub fn of(options: &Values, tag: &str, job: &str) -> Self {
        Self {
            locations: options.locations().to_vec(),
            folders: options.folders().to_vec(),
            roles: options.roles().to_vec(),
            words: options.given().iter().flat_map(|(_, value)| words(value)).map(str::to_owned).collect(),
            tag: Some(tag.to_owned()),
            job: Some(job.to_owned()),
            dry_run: false,
        }
    }
}

/// The words of a value, which may be JSON: a name counts only where it stands whole.
fn words(value: &str) -> impl Iterator<Item = &str> {
    let between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']' | '{' | '}');
    value.split(between).filter(|word| !word.is_empty())
}

/// Folders of a build's context that the host fills.
const OF_THE_HOST: [&str; 3] = ["code/", "dependencies/", "machine/"];
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
            Verb::BuildFile(path) => (
                Capability::Docker,
                is_inside(path) && !OF_THE_HOST.iter().any(|folder| path.starts_with(folder)),
            ),
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
            // What the user named is the driver's to read, by whatever it was granted.
            Verb::Folder(folder) => return self.within(verb, is_one_of(&scope.folders, folder)),
            Verb::Send { folder, place } => (
                Capability::S3,
                is_one_of(&scope.folders, folder) && scope.locations.iter().any(|holder| holder.holds(place)),
            ),
            Verb::Bucket(bucket) => {
                (Capability::S3, scope.locations.iter().any(|holder| holder.bucket == bucket))
            }
            Verb::TrainingJob(job) => (Capability::Sagemaker, is(&scope.job, job)),
            Verb::Resource(name) => {
                let place = name.parse::<S3Location>();
                let held = place.is_ok_and(|place| scope.locations.iter().any(|holder| holder.holds(&place)));
                (Capability::Sagemaker, held || scope.words.contains(name))
            }
            Verb::Log { job, group, stream } => {
                let of_job = stream
                    .is_none_or(|stream| stream.strip_prefix(job).is_some_and(|rest| rest.starts_with('/')));
                (Capability::CloudwatchLogs, is(&scope.job, job) && group == LOG_GROUP && of_job)
            }
            Verb::Request { origin, method, own_credential } => {
                let granted = self.requests(origin)?;
                let two_credentials = own_credential && granted.credential.is_some();
                return self.within(verb, !two_credentials && !is_forbidden(method));
            }
            Verb::Credential(origin) => return self.requests(origin).map(drop),
            Verb::Address { origin, address } => {
                let private = self.requests(origin)?.private;
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
        if self.granted.has(grant) {
            return Ok(());
        }
        Err(Error::new(Kind::Denied, format!("the plugin {} was not granted {grant}", self.plugin))
            .hint(self.command(grant)))
    }

    /// What was granted for an origin, whatever its credential.
    fn requests(&self, origin: &Origin) -> Result<&Requests> {
        self.granted.requests(origin).ok_or_else(|| {
            let grant = Requests { origins: origin.into(), credential: None, private: false };
            Error::new(Kind::Denied, format!("the plugin {} was not granted {origin}", self.plugin))
                .hint(self.command(&Grant::Requests(grant)))
        })
    }

    fn within(&self, verb: Verb<'_>, designated: bool) -> Result<()> {
        if designated {
            return Ok(());
        }
        Err(Error::new(Kind::Denied, format!("the plugin {} may not {}", self.plugin, verb.deed()))
            .hint(self.remedy(verb)))
    }

    /// What grants it.
    fn command(&self, grant: &Grant) -> String {
        match self.lent {
            true => format!("to allow it: add `--grant {grant}` before the `--`"),
            false => format!("to allow it: `alekseylearn plugin grant {} {grant}`", self.plugin),
        }
    }

    /// What the user would have to say for it to be allowed.
    fn remedy(&self, verb: Verb<'_>) -> String {
        let regrant = |origin: &Origin, change: &dyn Fn(&mut Requests)| {
            let mut requests = self.granted.requests(origin).cloned().unwrap_or_else(|| Requests {
                origins: origin.into(),
                credential: None,
                private: false,
            });
            change(&mut requests);
            self.command(&Grant::Requests(requests))
        };
        match verb {
            Verb::Location(place) => format!("it may touch what you name: --config.output_path={place}"),
            Verb::Bucket(bucket) => format!("it may touch what you name: --config.output_path=s3://{bucket}"),
            Verb::Role(role) => format!("it may pass on what you name: --config.role_name={role}"),
            Verb::Push { registry: Some(registry), .. }
                if self.granted.requests(registry).is_none_or(|granted| granted.credential.is_none()) =>
            {
                format!(
                    "{}, with the place of a login, such as file:/PATH, for SOURCE",
                    regrant(registry, &|_| {}).replace(&registry.to_string(), &format!("{registry}=SOURCE"))
                )
            }
            Verb::Push { .. } => "a driver may send an image only to a repository that the host made ready for it, or \
                                  to one of its tag's name in a registry that was granted"
                .into(),
            Verb::JobFile(_) => "a driver has its job's folder, /job, and no other".into(),
            Verb::BuildFile(_) => {
                "a driver adds files beside the host's, which are in code/, dependencies/ and machine/, and nowhere else"
                    .into()
            }
            Verb::Request { method, origin, own_credential } => {
                match own_credential && !is_forbidden(method) {
                    true => regrant(origin, &|requests| requests.credential = None),
                    false => "nothing allows it: the answer would hold all that was sent".into(),
                }
            }
            Verb::Address { origin, address } => match Region::of(address) {
                Region::Private | Region::ThisMachine if !origin.is_this_machine() => {
                    regrant(origin, &|requests| requests.private = true)
                }
                _ => "nothing allows it: see what the name means on this machine".into(),
            },
            Verb::Folder(_) | Verb::Send { .. } => {
                "it may read folders that you name as inputs, and send them to places that you name".into()
            }
            Verb::Resource(_) => "a job may use what an option of the command line names".into(),
            Verb::Credential(_)
            | Verb::Engine
            | Verb::Image(_)
            | Verb::Container(_)
            | Verb::Identity
            | Verb::Repository(_)
            | Verb::TrainingJob(_)
            | Verb::Log { .. } => "a run may touch only its own image, repository and job".into(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const GRANTED: [&str; 11] = [
        "docker",
        "aws-identity",
        "ecr",
        "s3",
        "sagemaker",
        "cloudwatch-logs",
        "https://open.example",
        "https://api.example.com=env:TOKEN",
        "private:https://mlflow.example",
        "https://localhost:8443",
        "http://127.0.0.1:8080",
    ];

    fn authority() -> Authority {
        Authority {
            plugin: "test".into(),
            granted: GRANTED.iter().map(|text| text.parse::<Grant>().unwrap()).collect(),
            lent: false,
            shipped: false,
            scope: Scope {
                locations: vec!["s3://bucket/pre".parse().unwrap()],
                folders: vec!["/data/train".into()],
                roles: vec!["trainer".into()],
                words: words(r#"["subnet-1"], key/a"#).map(str::to_owned).collect(),
                tag: Some("models/train".into()),
                job: Some("models-train-1".into()),
                dry_run: false,
            },
        }
    }

    fn place(text: &str) -> S3Location {
        text.parse().unwrap()
    }

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    fn get(origin: &Origin) -> Verb<'_> {
        Verb::Request { origin, method: "GET", own_credential: false }
    }

    /// The message and the hint of a denial.
    fn denial(authority: &Authority, verb: Verb<'_>) -> (String, String) {
        let error = authority.decide(verb).expect_err(&verb.deed());
        assert_eq!(error.kind(), Kind::Denied);
        (error.message().to_owned(), error.hint_text().expect("a denial says what would allow it").to_owned())
    }

    #[test]
    fn what_the_command_line_designates_is_allowed() {
        let authority = authority();
        for verb in [
            Verb::Engine,
            Verb::Image("models/train"),
            Verb::BuildFile("runner/__main__.py"),
            Verb::Container("models-train-1"),
            Verb::JobFile("model.tar.gz"),
            Verb::JobFile("results/model.tar.gz"),
            Verb::Identity,
            Verb::Role("trainer"),
            Verb::Role("arn:aws:iam::123456789012:role/service/trainer"),
            Verb::Repository("models/train"),
            Verb::Push { address: "registry/models/train", made_ready: true, registry: None },
            Verb::Push {
                address: "api.example.com/project/models/train",
                made_ready: false,
                registry: Some(&origin("https://api.example.com")),
            },
            Verb::Location(&place("s3://bucket/pre/job/output/model.tar.gz")),
            Verb::Bucket("bucket"),
            Verb::Folder("/data/train"),
            Verb::Send { folder: "/data/train", place: &place("s3://bucket/pre/inputs/x") },
            Verb::TrainingJob("models-train-1"),
            Verb::Resource("s3://bucket/pre/data"),
            Verb::Resource("subnet-1"),
            Verb::Resource("key/a"),
            Verb::Log { job: "models-train-1", group: LOG_GROUP, stream: Some("models-train-1/algo-1-1") },
            Verb::Log { job: "models-train-1", group: LOG_GROUP, stream: None },
        ] {
            authority.decide(verb).unwrap();
        }
    }

    /// What is not designated, and what its user would have to say for it.
    #[test]
    fn nothing_else_is() {
        let authority = authority();
        let own = "a run may touch only its own image, repository and job";
        for (verb, remedy) in [
            (Verb::Folder("/data"), "folders that you name as inputs"),
            (Verb::Folder("/data/train/.."), "folders that you name as inputs"),
            (
                Verb::Send { folder: "/home", place: &place("s3://bucket/pre") },
                "folders that you name as inputs",
            ),
            (
                Verb::Send { folder: "/data/train", place: &place("s3://other/pre") },
                "to places that you name",
            ),
            (Verb::Image("other"), own),
            (Verb::Container("models-train-2"), own),
            (Verb::Repository("models"), own),
            (Verb::TrainingJob("models-train-2"), own),
            (Verb::Log { job: "models-train-1", group: "/aws/lambda/x", stream: None }, own),
            (Verb::Log { job: "models-train-2", group: LOG_GROUP, stream: None }, own),
            (
                Verb::Log {
                    job: "models-train-1",
                    group: LOG_GROUP,
                    stream: Some("models-train-10/algo-1-1"),
                },
                own,
            ),
            (Verb::Role("admin"), "--config.role_name=admin"),
            (
                Verb::Role("arn:aws:iam::123456789012:role/not-trainer"),
                "--config.role_name=arn:aws:iam::123456789012:role/not-trainer",
            ),
            (Verb::Location(&place("s3://bucket/prefix")), "--config.output_path=s3://bucket/prefix"),
            (Verb::Location(&place("s3://bucket")), "--config.output_path=s3://bucket"),
            (Verb::Location(&place("s3://other/pre")), "--config.output_path=s3://other/pre"),
            (Verb::Bucket("other"), "--config.output_path=s3://other"),
            (Verb::Resource("s3://bucket/prefix"), "names"),
            (Verb::Resource("https://bucket.s3.amazonaws.com/pre"), "names"),
            (Verb::Resource("subnet-10"), "names"),
            (Verb::Resource("key"), "names"),
            (
                Verb::Push { address: "evil.example/image", made_ready: false, registry: None },
                "that the host made ready",
            ),
            (
                Verb::Push {
                    address: "open.example/models/train",
                    made_ready: false,
                    registry: Some(&origin("https://open.example")),
                },
                "https://open.example=SOURCE`, with the place of a login, such as file:/PATH, for SOURCE",
            ),
            (
                Verb::Push {
                    address: "api.example.com/models/other",
                    made_ready: false,
                    registry: Some(&origin("https://api.example.com")),
                },
                "to one of its tag's name in a registry that was granted",
            ),
        ] {
            let (message, hint) = denial(&authority, verb);
            assert!(message.starts_with("the plugin test may not "), "{message}");
            assert!(hint.ends_with(remedy) || hint.contains(remedy), "{verb:?}: {hint}");
        }
        for path in ["../evil", "/etc/passwd", "a/../../b", ".", "", "/job/x", "x/.."] {
            let (message, hint) = denial(&authority, Verb::JobFile(path));
            assert!(message.ends_with("outside of the job's folder") && hint.contains("/job"), "{message}");
            denial(&authority, Verb::BuildFile(path));
        }
        denial(&authority, Verb::BuildFile("code/train.py"));
        denial(&authority, Verb::BuildFile("dependencies/requirements.txt"));
    }

    #[test]
    fn a_capability_that_was_not_granted_is_denied_with_the_command_that_grants_it() {
        let authority = Authority { granted: Grants::default(), ..authority() };
        let place = place("s3://bucket/pre");
        for (verb, capability) in [
            (Verb::Engine, "docker"),
            (Verb::Image("models/train"), "docker"),
            (Verb::BuildFile("x"), "docker"),
            (Verb::Container("models-train-1"), "docker"),
            (Verb::Identity, "aws-identity"),
            (Verb::Role("trainer"), "aws-identity"),
            (Verb::Repository("models/train"), "ecr"),
            (Verb::Location(&place), "s3"),
            (Verb::Bucket("bucket"), "s3"),
            (Verb::TrainingJob("models-train-1"), "sagemaker"),
            (Verb::Resource("subnet-1"), "sagemaker"),
            (Verb::Log { job: "models-train-1", group: LOG_GROUP, stream: None }, "cloudwatch-logs"),
        ] {
            let (message, hint) = denial(&authority, verb);
            assert_eq!(message, format!("the plugin test was not granted {capability}"));
            assert_eq!(hint, format!("to allow it: `alekseylearn plugin grant test {capability}`"));
        }
        authority.decide(Verb::JobFile("model.tar.gz")).unwrap();
        let lent = Authority { lent: true, ..authority };
        assert_eq!(
            denial(&lent, Verb::Identity).1,
            "to allow it: add `--grant aws-identity` before the `--`"
        );
    }

    #[test]
    fn a_request_goes_only_to_an_origin_that_was_granted() {
        let authority = authority();
        for granted in ["https://open.example", "https://API.example.com:443", "http://127.1:8080"] {
            authority.decide(get(&origin(granted))).unwrap();
        }
        for (other, command) in [
            ("https://evil.example", "plugin grant test https://evil.example`"),
            // A redirect leads nowhere else than a request of its own.
            ("https://api.example.com.evil.example", "https://api.example.com.evil.example`"),
            ("https://sub.open.example", "https://sub.open.example`"),
            ("https://open.example:8443", "https://open.example:8443`"),
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081`"),
            ("http://localhost:8080", "http://localhost:8080`"),
            ("https://127.0.0.1:8080", "https://127.0.0.1:8080`"),
        ] {
            let (message, hint) = denial(&authority, get(&origin(other)));
            assert!(message.starts_with("the plugin test was not granted http"), "{message}");
            assert!(hint.ends_with(command), "{hint}");
        }
    }

    #[test]
    fn a_request_brings_no_second_credential_and_gets_none_back() {
        let authority = authority();
        let (open, api) = (origin("https://open.example"), origin("https://api.example.com"));
        let request = |origin, method, own_credential| Verb::Request { origin, method, own_credential };
        authority.decide(request(&open, "POST", true)).unwrap();
        authority.decide(request(&api, "DELETE", false)).unwrap();
        let (message, hint) = denial(&authority, request(&api, "GET", true));
        assert!(message.contains("a credential of its own to https://api.example.com"), "{message}");
        assert!(hint.ends_with("plugin grant test https://api.example.com`"), "{hint}");
        for method in ["TRACE", "trace", "CONNECT"] {
            assert!(denial(&authority, request(&api, method, false)).1.starts_with("nothing allows it"));
            denial(&authority, request(&open, method, true));
        }
    }

    #[test]
    fn a_dry_run_starts_and_changes_nothing() {
        let mut authority = authority();
        authority.scope.dry_run = true;
        let open = origin("https://open.example");
        let request = |method| Verb::Request { origin: &open, method, own_credential: false };
        for verb in [
            request("GET"),
            request("HEAD"),
            Verb::Role("trainer"),
            Verb::Bucket("bucket"),
            Verb::Image("models/train"),
            Verb::Repository("models/train"),
            Verb::JobFile("note"),
        ] {
            authority.decide(verb).unwrap();
        }
        let (container, job) = (Verb::Container("models-train-1"), Verb::TrainingJob("models-train-1"));
        for verb in [request("POST"), request("DELETE"), request("get"), request("PROPFIND"), container, job]
        {
            let (message, _) = denial(&authority, verb);
            assert!(message.ends_with("in a dry run, which changes nothing"), "{message}");
        }
    }

    #[test]
    fn a_name_that_leads_into_a_private_network_is_denied_unless_that_was_granted() {
        let authority = authority();
        let decide = |text: &str, address: &str| {
            let origin = origin(text);
            let address = address.parse().unwrap();
            authority.decide(Verb::Address { origin: &origin, address })
        };
        for (origin, address) in [
            ("https://api.example.com", "93.184.216.34"),
            ("https://open.example", "2606:4700::1111"),
            ("https://mlflow.example", "10.0.0.5"),
            ("https://mlflow.example", "127.0.0.1"),
            ("https://mlflow.example", "93.184.216.34"),
            ("http://127.0.0.1:8080", "127.0.0.1"),
        ] {
            decide(origin, address).unwrap();
        }
        let granting = "alekseylearn plugin grant test private:https://";
        for (origin, address, remedy) in [
            ("https://open.example", "10.0.0.5", granting),
            ("https://open.example", "127.0.0.1", granting),
            ("https://open.example", "100.64.0.1", granting),
            ("https://open.example", "fd00::1", granting),
            ("https://open.example", "::1", granting),
            ("https://open.example", "::ffff:192.168.0.1", granting),
            ("https://localhost:8443", "127.0.0.1", granting),
            ("https://api.example.com", "10.0.0.5", "private:https://api.example.com=env:TOKEN`"),
            ("https://open.example", "169.254.169.254", "nothing allows it"),
            ("https://mlflow.example", "169.254.169.254", "nothing allows it"),
            ("https://mlflow.example", "fe80::1", "nothing allows it"),
            ("https://mlflow.example", "224.0.0.1", "nothing allows it"),
            ("https://mlflow.example", "0.0.0.0", "nothing allows it"),
            // What is called this machine is nothing else.
            ("http://127.0.0.1:8080", "93.184.216.34", "nothing allows it"),
            ("http://127.0.0.1:8080", "10.0.0.5", "nothing allows it"),
        ] {
            let error = decide(origin, address).unwrap_err();
            assert!(error.message().contains(&format!("reach {origin} at {address}")), "{error}");
            assert!(error.hint_text().unwrap().contains(remedy), "{:?}", error.hint_text());
        }
        assert!(
            decide("https://evil.example", "93.184.216.34")
                .unwrap_err()
                .message()
                .contains("was not granted")
        );
    }
}
