use std::sync::LazyLock;

use super::{scope::words, *};

const GRANTED: [&str; 14] = [
    "docker",
    "process",
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
    "https://storage.example/b/{gs.bucket}/o/{gs.key}=google",
    "https://storage.example/b/{gs.bucket}/o?prefix={gs.key}/=google",
];

fn authority() -> Authority {
    Authority {
        plugin: "test".into(),
        granted: GRANTED.iter().map(|text| text.parse::<Grant>().unwrap()).collect(),
        wants: Grants::default(),
        never: NeverGranted::default(),
        lent: false,
        shipped: false,
        scope: Scope {
            locations: vec!["s3://bucket/pre".parse().unwrap(), "gs://bucket/own".parse().unwrap()],
            folders: vec!["/data/train".into()],
            roles: vec!["trainer".into()],
            words: words(r#"["subnet-1"], key/a"#).map(str::to_owned).collect(),
            tag: Some("models/train".into()),
            job: Some("models-train-1".into()),
            dry_run: false,
            ..Scope::default()
        },
        used: Arc::default(),
        auditor: None,
    }
}

fn place(text: &str) -> Location {
    text.parse().unwrap()
}

fn origin(text: &str) -> Origin {
    text.parse().unwrap()
}

fn get(origin: &Origin) -> Verb<'_> {
    Verb::Request { origin, address: page(), method: "GET", own_credential: false, disguised: false }
}

/// Any page of an origin with a grant for the whole origin.
fn page() -> &'static Url {
    static PAGE: LazyLock<Url> = LazyLock::new(|| "https://any.example/page".parse().unwrap());
    &PAGE
}

/// The message and the hint of a denial.
fn denial(authority: &Authority, verb: Verb<'_>) -> (String, String) {
    let error = authority.decide(verb).expect_err(&verb.deed());
    assert_eq!(error.kind(), Kind::Denied);
    (error.message().to_owned(), error.hint_text().expect("a denial says what would allow it").to_owned())
}

#[test]
fn designated_objects_are_allowed() {
    let authority = authority();
    for verb in [
        Verb::Engine,
        Verb::Image("models/train"),
        Verb::BuildFile("runner/__main__.py"),
        Verb::Container("models-train-1"),
        Verb::JobFile("model.tar.gz"),
        Verb::JobFile("results/model.tar.gz"),
        Verb::Identity,
        Verb::TrainingQuota,
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
        Verb::Mount("/data/train"),
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

/// Each verb without a designated object, and its hint.
#[test]
fn other_objects_are_denied() {
    let authority = authority();
    let own = "a run may use only its own image, repository and job";
    for (verb, remedy) in [
        (Verb::Mount("/data"), "folders that you name as inputs"),
        (Verb::Mount("/data/train/.."), "folders that you name as inputs"),
        (Verb::Send { folder: "/home", place: &place("s3://bucket/pre") }, "folders that you name as inputs"),
        (Verb::Send { folder: "/data/train", place: &place("s3://other/pre") }, "to locations that you name"),
        (Verb::Image("other"), own),
        (Verb::Container("models-train-2"), own),
        (Verb::Repository("models"), own),
        (Verb::TrainingJob("models-train-2"), own),
        (Verb::Log { job: "models-train-1", group: "/aws/lambda/x", stream: None }, own),
        (Verb::Log { job: "models-train-2", group: LOG_GROUP, stream: None }, own),
        (
            Verb::Log { job: "models-train-1", group: LOG_GROUP, stream: Some("models-train-10/algo-1-1") },
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
            "that the host prepared",
        ),
        (
            Verb::Push {
                address: "open.example/models/train",
                made_ready: false,
                registry: Some(&origin("https://open.example")),
            },
            "https://open.example=file:/PATH`, where /PATH is a file with registry credentials",
        ),
        (
            Verb::Push {
                address: "api.example.com/models/other",
                made_ready: false,
                registry: Some(&origin("https://api.example.com")),
            },
            "to one named after the training's tag in a granted registry",
        ),
    ] {
        let (message, hint) = denial(&authority, verb);
        assert!(message.starts_with("the plugin test may not "), "{message}");
        assert!(hint.ends_with(remedy) || hint.contains(remedy), "{verb:?}: {hint}");
    }
    for path in ["../evil", "/etc/passwd", "a/../../b", ".", "", "/job/x", "x/.."] {
        let (message, hint) = denial(&authority, Verb::JobFile(path));
        assert!(message.ends_with("outside the job's folder") && hint.contains("/job"), "{message}");
        denial(&authority, Verb::BuildFile(path));
    }
}

/// The attack: a file of this name replaced the user's Dockerfile, and read the credentials that it mounts.
#[test]
fn a_driver_must_not_add_a_file_with_a_name_of_the_host_or_the_user() {
    let authority = authority();
    for path in [
        "Dockerfile",
        "dockerfile",
        "DOCKERFILE",
        "Dockerfile/",
        "Dockerfile.dockerignore",
        "./Dockerfile",
        "a/./b",
        "a//b",
        "a/",
        "/a",
        "a\\b",
        "a\nb",
        ".dockerignore",
        "code",
        "code/train.py",
        "Code/train.py",
        "dependencies/requirements.txt",
        "machine",
        "machine/environment",
    ] {
        let (message, _) = denial(&authority, Verb::BuildFile(path));
        assert!(message.starts_with("the plugin test may not add the file"), "{message}");
    }
    for path in ["runner/__main__.py", "artifact.json", "runner/Dockerfile", "codes", "a/code/b", ".hidden"] {
        authority.decide(Verb::BuildFile(path)).unwrap();
    }
}

#[test]
fn a_denial_names_the_grant_that_the_plugin_wants_with_its_credential() {
    let wants = ["https://api.acme.example=env:ACME_TOKEN", "https://*-a.acme.example=google"];
    let wants = wants.iter().map(|text| text.parse::<Grant>().unwrap()).collect();
    let authority = Authority { wants, granted: Grants::default(), ..authority() };
    for (origin, command) in [
        ("https://api.acme.example", "grant test https://api.acme.example=env:ACME_TOKEN`"),
        ("https://one-a.acme.example", "grant test 'https://*-a.acme.example=google'`"),
        ("https://other.example", "grant test https://other.example`"),
    ] {
        let (_, hint) = denial(&authority, get(&origin.parse().unwrap()));
        assert!(hint.ends_with(command), "{hint}");
    }
}

#[test]
fn a_method_override_is_refused() {
    let authority = authority();
    for text in ["https://open.example", "https://api.example.com"] {
        let origin = origin(text);
        let verb = |disguised| Verb::Request {
            origin: &origin,
            address: page(),
            method: "POST",
            own_credential: false,
            disguised,
        };
        authority.decide(verb(false)).unwrap();
        assert!(denial(&authority, verb(true)).1.starts_with("no grant allows this"));
    }
}

#[test]
fn a_capability_that_was_not_granted_is_denied_with_the_command_that_grants_it() {
    let authority = Authority { granted: Grants::default(), ..authority() };
    let place = place("s3://bucket/pre");
    for (verb, grant) in [
        (Verb::Engine, "docker"),
        (Verb::Image("models/train"), "docker"),
        (Verb::BuildFile("x"), "docker"),
        (Verb::Mount("/data/train"), "docker"),
        (Verb::Hash("/data/train"), "s3"),
        (Verb::Container("models-train-1"), "docker"),
        (Verb::Identity, "aws-identity"),
        (Verb::TrainingQuota, "sagemaker"),
        (Verb::Role("trainer"), "aws-identity"),
        (Verb::Repository("models/train"), "ecr"),
        (Verb::Location(&place), "s3"),
        (Verb::Bucket("bucket"), "s3"),
        (Verb::TrainingJob("models-train-1"), "sagemaker"),
        (Verb::Resource("subnet-1"), "sagemaker"),
        (Verb::Log { job: "models-train-1", group: LOG_GROUP, stream: None }, "cloudwatch-logs"),
    ] {
        let (message, hint) = denial(&authority, verb);
        assert_eq!(message, format!("the plugin test was not granted {grant}"));
        assert_eq!(hint, format!("to allow it: `alekseylearn plugin grant test {grant}`"));
    }
    authority.decide(Verb::JobFile("model.tar.gz")).unwrap();
    let lent = Authority { lent: true, ..authority };
    assert_eq!(denial(&lent, Verb::Identity).1, "to allow it: add `--grant aws-identity` before the `--`");
}

#[test]
fn a_request_goes_only_to_an_origin_that_was_granted() {
    let authority = authority();
    for granted in ["https://open.example", "https://API.example.com:443", "http://127.1:8080"] {
        authority.decide(get(&origin(granted))).unwrap();
    }
    for (other, command) in [
        ("https://evil.example", "plugin grant test https://evil.example`"),
        // A redirect is decided like a request.
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
fn a_request_must_not_add_a_second_credential_or_read_one_back() {
    let authority = authority();
    let (open, api) = (origin("https://open.example"), origin("https://api.example.com"));
    let request = |origin, method, own_credential| Verb::Request {
        origin,
        address: page(),
        method,
        own_credential,
        disguised: false,
    };
    authority.decide(request(&open, "POST", true)).unwrap();
    authority.decide(request(&api, "DELETE", false)).unwrap();
    let (message, hint) = denial(&authority, request(&api, "GET", true));
    assert!(message.contains("its own credential to https://api.example.com"), "{message}");
    assert!(hint.ends_with("plugin grant test https://api.example.com`"), "{hint}");
    for method in ["TRACE", "trace", "CONNECT"] {
        assert!(denial(&authority, request(&api, method, false)).1.starts_with("no grant allows this"));
        denial(&authority, request(&open, method, true));
    }
}

#[test]
fn only_designated_locations_of_a_store_are_read() {
    let authority = authority();
    let store = origin("https://storage.example");
    let request = |address: &str, method, own_credential| {
        let address: Url = format!("https://storage.example{address}").parse().unwrap();
        let verb =
            Verb::Request { origin: &store, address: &address, method, own_credential, disguised: false };
        authority
            .decide(verb)
            .map_err(|error| (error.message().to_owned(), error.hint_text().unwrap().to_owned()))
    };
    request("/b/bucket/o/own%2Fmodel.tar.gz?alt=media", "GET", false).unwrap();
    request("/b/bucket/o?prefix=own%2Fjob%2F", "HEAD", false).unwrap();
    for (address, method) in [
        ("/b/bucket/o/own%2Fmodel.tar.gz", "DELETE"),
        ("/b/bucket/o/own%2Fmodel.tar.gz", "POST"),
        ("/b/bucket/o/pre%2Fmodel.tar.gz", "GET"),
        ("/b/other/o/own%2Fmodel.tar.gz", "GET"),
        ("/b/bucket/o?prefix=", "GET"),
        ("/b/bucket/o", "GET"),
        ("/b", "GET"),
        ("/", "GET"),
    ] {
        let (message, hint) = request(address, method, false).unwrap_err();
        assert_eq!(message, format!("the plugin test may not send {method} to https://storage.example"));
        assert_eq!(hint, "it may read only locations that an option names, as gs://…", "{address}");
    }
    request("/b/bucket/o/own%2Fmodel.tar.gz", "GET", true).unwrap_err();
    let elsewhere = origin("https://storage.example:8443");
    assert!(denial(&authority, get(&elsewhere)).0.contains("was not granted https://storage.example:8443"));
}

#[test]
fn a_dry_run_must_not_start_or_change_anything() {
    let mut authority = authority();
    authority.scope.dry_run = true;
    let open = origin("https://open.example");
    let request = |method| Verb::Request {
        origin: &open,
        address: page(),
        method,
        own_credential: false,
        disguised: false,
    };
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
    for verb in [request("POST"), request("DELETE"), request("get"), request("PROPFIND"), container, job] {
        let (message, _) = denial(&authority, verb);
        assert!(message.ends_with("in a dry run"), "{message}");
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
        ("https://open.example", "169.254.169.254", "no grant allows this"),
        ("https://mlflow.example", "169.254.169.254", "no grant allows this"),
        ("https://mlflow.example", "fe80::1", "no grant allows this"),
        ("https://mlflow.example", "224.0.0.1", "no grant allows this"),
        ("https://mlflow.example", "0.0.0.0", "no grant allows this"),
        // An address of this machine must not resolve to another one.
        ("http://127.0.0.1:8080", "93.184.216.34", "no grant allows this"),
        ("http://127.0.0.1:8080", "10.0.0.5", "no grant allows this"),
    ] {
        let error = decide(origin, address).unwrap_err();
        assert!(error.message().contains(&format!("reach {origin} at {address}")), "{error}");
        assert!(error.hint_text().unwrap().contains(remedy), "{:?}", error.hint_text());
    }
    assert!(
        decide("https://evil.example", "93.184.216.34").unwrap_err().message().contains("was not granted")
    );
}

#[test]
fn only_a_shipped_driver_starts_processes_on_this_machine() {
    let (stranger, shipped) = (authority(), Authority { shipped: true, ..authority() });
    for (verb, of_this_run) in [
        (Verb::Process("models-train-1"), true),
        (Verb::Process("other-1"), false),
        (Verb::ProcessInput("/data/train"), true),
        (Verb::ProcessInput("/etc"), false),
    ] {
        assert_eq!(stranger.decide(verb).unwrap_err().kind(), Kind::Denied, "{verb:?}");
        assert_eq!(shipped.decide(verb).is_ok(), of_this_run, "{verb:?}");
    }
}
