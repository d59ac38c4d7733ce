//! A plugin is its source, its signer and its name: nothing else gets its grants, its jobs, or the user's authority.

use std::{
    fs,
    io::{Read, Write},
};

use alekseylearn_tests::{Handmade, Sandbox, Service, Site, guests, guests_or_skip};
use serde_json::{Value, json};

use super::{
    signatures::{Signer, USERS},
    sources::{ALL, called, component, installed, put},
};

fn install(sandbox: &Sandbox, source: &str, more: &[&str]) -> alekseylearn_tests::Run {
    sandbox.run(&[&["plugin", "install", source, "--yes"][..], more].concat())
}

fn lists(head: &'static str) -> Vec<u8> {
    Handmade::default().head(head).component()
}

/// Imports `s3`.
const LISTS: &str = r#"(import "alekseylearn:driver/s3@$V" "folders" (func (param i32 i32 i32)))"#;

/// The attack: by the defaults of its own options a plugin had requests that the user signed sent to its own address, and
/// a role and a bucket touched that nobody named.
#[test]
fn the_defaults_of_a_strangers_driver_designate_nothing() {
    let guests = guests_or_skip!();
    let (mut sandbox, evil, honest) = (Sandbox::new(), Service::new(), Service::new());
    let mut wasm = fs::read(guests.join("loots.wasm")).unwrap();
    let (own, put) = (b"http://127.0.0.1:18082", evil.address().as_bytes());
    assert_eq!(own.len(), put.len(), "ports of tests have five digits");
    let at = wasm.windows(own.len()).position(|text| text == own).expect("the guest names an endpoint");
    wasm[at..at + own.len()].copy_from_slice(put);
    fs::write(sandbox.path("loots.wasm"), wasm).unwrap();
    sandbox.set("AWS_ACCESS_KEY_ID", "SECRETKEYID").set("AWS_SECRET_ACCESS_KEY", "SECRETKEY");
    sandbox.set("AWS_REGION", "eu-west-1").set("AWS_ENDPOINT_URL", honest.address());
    sandbox.write("train.py", "");
    install(&sandbox, "loots.wasm", &["--name", "loots", "--grant", "aws-identity,ecr,s3"]).success();
    let command = |command: &str, more: &[&str]| {
        sandbox.run(&[&[command, "train.py", "--train-driver", "loots", "--json"][..], more].concat())
    };
    let checked = command("check", &[]).data();
    let findings = checked["findings"].to_string();
    assert!(findings.contains("all was tried") && !findings.contains("was not denied"), "{findings}");
    assert_eq!(checked["touches"], json!([]));
    assert_ne!(command("fit", &[]).code, Some(0), "the honest service has no repository");
    assert_eq!(evil.asked().len(), 0, "{:?}", evil.asked());

    // What the user names is theirs to name, and is told with who named it.
    sandbox.write("alekseylearn.toml", "[train.loots]\nregion = 'us-west-2'\n");
    let touches = command("check", &["--config.place=s3://bucket/path", "--trust"]).data()["touches"].clone();
    let told = |what: &Value| (what["what"].clone(), what["which"].clone(), what["by"].clone());
    let touches: Vec<_> = touches.as_array().unwrap().iter().map(told).collect();
    let expected =
        [("AWS region", "us-west-2", "project-file"), ("location", "s3://bucket/path", "command-line")];
    let expected = expected.map(|(what, which, by)| (json!(what), json!(which), json!(by)));
    assert_eq!(touches, expected);
    assert_eq!(evil.asked().len(), 0, "{:?}", evil.asked());
}

/// The attack: a file `Dockerfile` of a build driver's took the place of the user's own in the build.
#[test]
fn a_strangers_build_driver_fills_no_name_of_the_users_or_the_hosts() {
    let guests = guests_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.write("alekseylearn/Dockerfile", "FROM scratch\n");
    let file = guests.join("plants.wasm");
    install(&sandbox, file.to_str().unwrap(), &["--name", "plants", "--grant", "docker"]).success();
    let plan = |name: &str| {
        let option = format!("--config.file={name}");
        sandbox.run(&["fit", "train.py", "--build-driver", "plants", "--dry-run", "--trust", &option])
    };
    for name in
        ["Dockerfile", "dockerfile", "Dockerfile/", ".dockerignore", "machine/environment", "code/train.py"]
    {
        plan(name).failure(3).one_error().says("the plugin plants may not add the file");
    }
    let plan = plan("helper.sh").success().stdout;
    assert!(plan.contains("helper.sh") && plan.contains("FROM scratch"), "{plan}");
}

#[test]
fn a_schema_that_is_wrong_is_the_plugins_fault() {
    let guests = guests_or_skip!();
    let sandbox = Sandbox::new();
    let file = guests.join("misdeclares.wasm");
    install(&sandbox, file.to_str().unwrap(), &["--name", "misdeclares"]).success();
    let run = sandbox.run(&["driver", "show", "misdeclares"]).failure(9).one_error();
    run.says("it declares the option mode twice");
}

#[test]
fn the_hash_of_a_folder_is_of_the_grant_for_s3() {
    let guests = guests_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    sandbox.write("data/a.csv", "1");
    let file = guests.join("hashes.wasm");
    install(&sandbox, file.to_str().unwrap(), &["--name", "hashes"]).success();
    let check = ["check", "train.py", "--train-driver", "hashes", "--config.input.a=data", "--json"];
    let findings = sandbox.run(&check).failure(3).data()["findings"].to_string();
    assert!(findings.contains("the plugin hashes was not granted s3"), "{findings}");
    sandbox.run(&["plugin", "grant", "hashes", "s3"]).success();
    sandbox.run(&check).success();
}

/// The attack: any file that called itself so replaced a signed plugin, without a word, and had its credentials.
#[test]
fn another_plugin_of_the_same_name_inherits_nothing() {
    let (sandbox, ada) = (Sandbox::new(), Signer::new("Ada"));
    sandbox.write_home(USERS, &ada.trusted(false));
    let (good, evil) = (component("sagemaker", "0.2.0"), component("sagemaker", "0.3.0"));
    put(&sandbox.path("good"), "driver.wasm", &good);
    fs::write(sandbox.path("good/driver.wasm.minisig"), ada.sign(&good)).unwrap();
    put(&sandbox.path("evil"), "driver.wasm", &evil);
    install(&sandbox, "good/driver.wasm", &["--grant", ALL]).success();
    let before = installed(&sandbox);

    let replaces = "would replace driver 0.2.0, signed by Ada";
    install(&sandbox, "evil/driver.wasm", &["--grant", ALL]).failure(3).one_error().says(replaces);
    let more = ["--allow-source-change", "--grant", ALL];
    install(&sandbox, "evil/driver.wasm", &more).failure(3).one_error().says("is unsigned");
    // Nobody is there to ask.
    sandbox
        .run(&["plugin", "install", "evil/driver.wasm", "--allow-signer-change"])
        .failure(3)
        .says(replaces);
    assert_eq!(installed(&sandbox), before);
    // Not even what it takes over unasked is granted to it.
    let run = install(&sandbox, "evil/driver.wasm", &["--allow-signer-change"]).success();
    run.says("replaces driver 0.2.0, signed by Ada");
    assert_eq!(
        (&installed(&sandbox)[0]["granted"], &installed(&sandbox)[0]["version"]),
        (&json!([]), &json!("0.3.0"))
    );

    // Unsigned from the start, and from elsewhere.
    let other = Sandbox::new();
    for folder in ["one", "two"] {
        put(&other.path(folder), "driver.wasm", &good);
    }
    install(&other, "one/driver.wasm", &["--grant", "s3"]).success();
    install(&other, "two/driver.wasm", &["--grant", "s3"])
        .failure(3)
        .one_error()
        .says("--allow-source-change");
    install(&other, "two/driver.wasm", &["--allow-source-change"]).success();
    assert_eq!(installed(&other)[0]["granted"], json!([]));
}

#[test]
fn the_names_of_shipped_drivers_are_reserved() {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    let wasm = lists(LISTS);
    for name in ["local", "sagemaker", "kaggle", "vertex-ai"] {
        let file = format!("{name}.wasm");
        fs::write(sandbox.path(&file), &wasm).unwrap();
        let run = install(&sandbox, &file, &[]).failure(3).one_error();
        run.says(&format!("{name} is the name of a shipped driver"));
        sandbox.run(&["plugin", "run", &file, "--", "driver", "list"]).failure(3).one_error();
    }
    install(&sandbox, "local.wasm", &["--name", "mine"]).success();
    // Neither a lock file nor a bundle takes such a name, and not by --yes.
    sandbox.run(&["plugin", "lock"]).success();
    let lock = fs::read_to_string(sandbox.path("alekseylearn.lock")).unwrap();
    sandbox.run(&["plugin", "export", "plugins.tar"]).success();
    sandbox.write("alekseylearn.lock", &lock.replace("\"mine\"", "\"local\""));
    sandbox.run(&["plugin", "install", "--locked", "--yes"]).failure(3).one_error().says("--replace-shipped");
    let drivers = sandbox.run(&["driver", "list"]).success().stdout;
    assert!(drivers.lines().any(|line| line.contains(" local ") && line.contains("shipped")), "{drivers}");
    // By its own flag, which says so.
    install(&sandbox, "local.wasm", &["--replace-shipped"]).success();
    let run = sandbox.run(&["driver", "show", "local", "--json"]).success();
    assert_eq!(run.data()["drivers"].as_array().unwrap().len(), 1, "it has no build driver");
}

/// The attack: a component that took a name saw the folders of the jobs that its namesake had made.
#[test]
fn a_job_is_for_the_plugin_that_made_it() {
    let guests = guests_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    for folder in ["one", "two"] {
        fs::create_dir(sandbox.path(folder)).unwrap();
        fs::copy(guests.join("writes.wasm"), sandbox.path(folder).join("acme.wasm")).unwrap();
    }
    let fit = ["fit", "train.py", "--train-driver", "acme", "--config.service=no", "--detach"];
    install(&sandbox, "one/acme.wasm", &["--name", "acme"]).success();
    sandbox.run(&fit).success();
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    sandbox.run(&["status", &job]).success();
    install(&sandbox, "two/acme.wasm", &["--name", "acme", "--allow-source-change"]).success();
    let refused = format!("the job {job} was submitted by acme");
    for command in [&["status", &job][..], &["logs", &job], &["stop", &job], &["fetch", "out", &job]] {
        sandbox.run(command).failure(3).one_error().says(&refused).says("two/acme.wasm is another plugin");
    }
    sandbox.run(&["reproduce", &job]).failure(3).one_error().says(&refused);
    // It makes jobs of its own, and does not go on with another's.
    sandbox.run(&fit).success();
    assert_ne!(sandbox.newest_job()["name"], json!(job));
    sandbox.run(&["plugin", "uninstall", "acme"]).success();
    sandbox.run(&["status", &job]).failure(4).one_error().says("one/acme.wasm");
    install(&sandbox, "one/acme.wasm", &["--name", "acme"]).success();
    sandbox.run(&["status", &job]).success();
}

/// A project's file names a driver by its name; its lock file says which plugin that is.
#[test]
fn a_projects_driver_is_the_one_of_its_lock_file() {
    let guests = guests_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    for folder in ["one", "two"] {
        fs::create_dir(sandbox.path(folder)).unwrap();
        fs::copy(guests.join("writes.wasm"), sandbox.path(folder).join("acme.wasm")).unwrap();
    }
    install(&sandbox, "one/acme.wasm", &["--name", "acme"]).success();
    sandbox.run(&["plugin", "lock"]).success();
    let lock = fs::read_to_string(sandbox.path("alekseylearn.lock")).unwrap();
    sandbox.write("alekseylearn.toml", "fit.train-driver = 'acme'\ntrain.acme.service = 'no'\n");
    let fit = ["fit", "train.py", "--detach", "--trust"];
    sandbox.run(&fit).success();
    // Another component, from elsewhere.
    let start = lock.find("digest = \"sha256:").unwrap() + "digest = \"sha256:".len();
    let other = format!("{}{}{}", &lock[..start], "0".repeat(64), &lock[start + 64..]);
    sandbox.write("alekseylearn.lock", &other.replace("one/acme.wasm", "elsewhere/acme.wasm"));
    sandbox.run(&fit).failure(3).one_error().says("elsewhere/acme.wasm in alekseylearn.lock, but acme");
    // Who types the name means the one that is installed.
    sandbox.run(&[&fit[..], &["--train-driver", "acme"]].concat()).success();
}

#[test]
fn an_upgrade_accepts_no_less() {
    let (sandbox, ada, eve) = (Sandbox::new(), Signer::new("Ada"), Signer::new("Eve"));
    sandbox.write_home(USERS, &ada.trusted(false));
    let place = |wasm: &[u8], signature: Option<String>| {
        put(&sandbox.path("site"), "driver.wasm", wasm);
        let beside = sandbox.path("site/driver.wasm.minisig");
        match signature {
            Some(signature) => fs::write(beside, signature).unwrap(),
            None => drop(fs::remove_file(beside)),
        }
    };
    let version = || installed(&sandbox)[0]["version"].clone();
    let refuses = |says: &str, flag: &str| {
        for command in [
            &["plugin", "upgrade", "driver", "--yes"][..],
            &["plugin", "install", "site/driver.wasm", "--yes"],
        ] {
            sandbox.run(command).failure(3).one_error().says(says).says(flag);
        }
        assert_eq!(version(), "0.2.0");
    };
    let (two, one) = (component("sagemaker", "0.2.0"), component("sagemaker", "0.1.9"));
    place(&two, Some(ada.sign(&two)));
    install(&sandbox, "site/driver.wasm", &["--grant", ALL]).success();

    place(&one, Some(ada.sign(&one)));
    refuses("is 0.1.9, and would replace driver 0.2.0, signed by Ada", "--allow-downgrade");
    let three = component("sagemaker", "0.3.0");
    place(&three, None);
    refuses("is unsigned", "--allow-signer-change");
    place(&three, Some(eve.sign(&three)));
    refuses("is signed with another key", "--allow-signer-change");
    // One plugin's signature is no other's: not by what it calls itself, and not by what its signer called it.
    let beta = called(&three, "beta");
    place(&beta, Some(ada.sign(&beta)));
    let upgrade = ["plugin", "upgrade", "driver", "--yes"];
    let run = sandbox.run(&upgrade).failure(3).one_error();
    run.says("calls itself beta").says("--allow-signer-change");
    place(&three, Some(ada.sign_as(&three, "name:beta version:0.3.0")));
    sandbox.run(&upgrade).failure(9).one_error().says("is for the plugin beta, but this is driver");
    place(&three, Some(ada.sign_as(&three, "name:driver version:0.4.0")));
    sandbox.run(&upgrade).failure(9).one_error().says("is for version 0.4.0, but this is 0.3.0");
    assert_eq!(version(), "0.2.0");

    place(&one, Some(ada.sign(&one)));
    sandbox.run(&[&upgrade[..], &["--allow-downgrade"]].concat()).success();
    assert_eq!(version(), "0.1.9");
    place(&three, Some(ada.sign_as(&three, "name:driver version:0.3.0")));
    sandbox.run(&upgrade).success();
    assert_eq!(
        (version(), &installed(&sandbox)[0]["granted"]),
        (json!("0.3.0"), &json!(ALL.split(',').collect::<Vec<_>>()))
    );
}

/// The attack: what a clone's lock file or bundle said was granted, by --yes.
#[test]
fn a_file_grants_nothing_and_asks_nobody_unconfirmed() {
    let (sandbox, service) = (Sandbox::new(), Service::new());
    put(&sandbox.path("site"), "driver.wasm", &component("sagemaker", "1.0.0"));
    install(&sandbox, "site/driver.wasm", &["--grant", "s3,ecr"]).success();
    sandbox.run(&["plugin", "lock"]).success();
    sandbox.run(&["plugin", "export", "plugins.tar"]).success();
    for command in
        [&["plugin", "install", "--locked", "--yes"][..], &["plugin", "import", "plugins.tar", "--yes"]]
    {
        let other = Sandbox::new();
        for file in ["alekseylearn.lock", "plugins.tar"] {
            fs::copy(sandbox.path(file), other.path(file)).unwrap();
        }
        other.run(command).success().says("`alekseylearn plugin grant driver ecr s3` allows it");
        assert_eq!(installed(&other)[0]["granted"], json!([]));
        // What the user granted it since then stays.
        other.run(&["plugin", "grant", "driver", "s3"]).success();
        other.run(command).success();
        assert_eq!(installed(&other)[0]["granted"], json!(["s3"]));
    }
    // A bundle cannot claim to be what is installed: unsigned, it may hold anything.
    let other = Sandbox::new();
    put(&sandbox.path("site"), "driver.wasm", &component("sagemaker", "1.1.0"));
    let source = sandbox.path("site/driver.wasm");
    install(&other, source.to_str().unwrap(), &["--grant", "s3"]).success();
    put(&sandbox.path("site"), "driver.wasm", &component("sagemaker", "1.2.0"));
    install(&sandbox, "site/driver.wasm", &[]).success();
    sandbox.run(&["plugin", "export", "plugins.tar"]).success();
    fs::copy(sandbox.path("plugins.tar"), other.path("plugins.tar")).unwrap();
    other.run(&["plugin", "import", "plugins.tar", "--yes"]).failure(3).one_error().says("is another plugin");

    let lock = format!(
        "form = 1\n[[plugin]]\nname = 'acme'\ndigest = 'sha256:00'\ngranted = ['docker']\nsource.address = '{}/a.wasm'\n",
        service.address()
    );
    other.write("alekseylearn.lock", &lock);
    other
        .run(&["plugin", "install", "--locked"])
        .failure(3)
        .one_error()
        .says("were not confirmed")
        .says("acme");
    assert_eq!(service.asked().len(), 0, "{:?}", service.asked());
}

/// A user's Google or Kaggle credential goes to another place than theirs only where the user typed that.
#[test]
fn a_services_credential_is_not_asked_for_elsewhere() {
    let guests = guests_or_skip!();
    let sandbox = Sandbox::new();
    let wasm = fs::read(guests.join("requests.wasm")).unwrap();
    let own =
        br#"{"name":"acme","origins":["https://evil.example=google","https://www.googleapis.com=google"]}"#;
    let wasm = with_section(&wasm, "alekseylearn", own);
    fs::write(sandbox.path("acme.wasm"), wasm).unwrap();
    let refused = sandbox.run(&["plugin", "install", "acme.wasm"]).failure(3).one_error();
    assert!(!refused.stderr.contains("evil.example"), "{}", refused.stderr);
    let granted = || installed(&sandbox)[0]["granted"].clone();
    install(&sandbox, "acme.wasm", &[]).success().says("plugin grant acme https://evil.example=google");
    assert_eq!(granted(), json!([]));
    sandbox.run(&["plugin", "grant", "acme", "https://evil.example=google"]).success();
    assert_eq!(granted(), json!(["https://evil.example=google"]));
}

#[test]
fn what_the_user_never_grants_is_neither_granted_nor_used() {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    fs::write(sandbox.path("mine.wasm"), lists(LISTS)).unwrap();
    install(&sandbox, "mine.wasm", &["--grant", "s3"]).success();
    sandbox.write_home(USERS, "plugins.never-grant = ['s3', 'env:*', 'https://*.evil.example']\n");
    let never = "is never granted";
    for grant in ["s3", "https://a.example=env:TOKEN", "https://a.evil.example"] {
        sandbox.run(&["plugin", "grant", "mine", grant]).failure(3).one_error().says(never);
        install(&sandbox, "mine.wasm", &["--grant", grant]).failure(3).one_error().says(never);
    }
    sandbox
        .run(&["plugin", "run", "mine.wasm", "--grant", "s3", "--", "driver", "list"])
        .failure(3)
        .says(never);
    // What was granted before does not count either.
    if let Some(guests) = guests() {
        let file = guests.join("hashes.wasm");
        sandbox.write_home(USERS, "");
        install(&sandbox, file.to_str().unwrap(), &["--name", "hashes", "--grant", "s3"]).success();
        sandbox.write("data/a.csv", "1");
        sandbox.write_home(USERS, "plugins.never-grant = ['s3']\n");
        let check = ["check", "train.py", "--train-driver", "hashes", "--config.input.a=data", "--json"];
        let findings = sandbox.run(&check).failure(3).data()["findings"].to_string();
        assert!(findings.contains("s3 is never granted"), "{findings}");
    }
    sandbox.write_home(USERS, "plugins.never-grant = ['dokcer']\n");
    sandbox.run(&["plugin", "grant", "mine", "s3"]).failure(2).one_error().says("never-grant");
}

#[test]
fn what_a_plugin_asked_for_is_kept_with_its_job() {
    let guests = guests_or_skip!();
    let sandbox = Sandbox::new();
    sandbox.write("train.py", "");
    let file = guests.join("hashes.wasm");
    install(&sandbox, file.to_str().unwrap(), &["--name", "hashes", "--grant", "s3"]).success();
    sandbox.write("data/a.csv", "1");
    sandbox
        .run(&["fit", "train.py", "--train-driver", "hashes", "--config.input.a=data", "--detach"])
        .success();
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let audit = sandbox.run(&["plugin", "audit", &job, "--json"]).success().data();
    let verbs = audit["verbs"].as_array().unwrap();
    assert_eq!(verbs.len(), 1, "{audit}");
    assert_eq!((&verbs[0]["call"], &verbs[0]["verb"]), (&json!("train.check"), &json!("s3 folder hash")));
    assert_eq!((&verbs[0]["allowed"], &verbs[0]["plugin"]), (&json!(true), &json!("hashes")));
    let text = sandbox.run(&["plugin", "audit", &job]).success().stdout;
    assert!(text.contains("train.check") && text.contains("allowed"), "{text}");
    let shown = sandbox.run(&["plugin", "show", "hashes", "--json"]).success().data();
    assert_eq!((&shown["runs"][0]["job"], &shown["runs"][0]["verbs"]), (&json!(job), &json!(1)));
    sandbox.run(&["plugin", "audit", "nothing"]).failure(4).one_error();
    // It is not in the folder that the plugin sees, and goes with the job.
    assert!(!sandbox.data().join("jobs").join(&job).join("audit").exists());
    assert!(sandbox.data().join("jobs").join(format!("{job}.audit")).is_file());
}

#[test]
fn an_index_is_held_to_its_files_and_to_its_own_side_of_the_network() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("site");
    let digest = put(&folder, "driver.wasm", &component("sagemaker", "0.1.0"));
    let site = Site::of(&folder);
    let write = |version: &str, address: &str| {
        let release =
            json!({ "version": version, "address": address, "digest": digest, "contract": "0.1.0" });
        let bad = json!({ "version": "one.two" });
        fs::write(folder.join("index.json"), json!({ "plugins": { "driver": [bad, release] } }).to_string())
            .unwrap();
    };
    let index = site.address("index.json");
    let add = || install(&sandbox, "driver", &["--index", &index]);
    write("0.3.0", "driver.wasm");
    add().failure(9).one_error().says("the index lists 0.3.0, the component has 0.1.0");
    let local = folder.join("driver.wasm");
    write("0.1.0", &format!("file://{}", local.display()));
    add().failure(3).one_error().says("which is not an http, https or oci address");
    // A path is one of the site's, and never of this machine's.
    write("0.1.0", local.to_str().unwrap());
    add().failure(4).one_error().says("404");
    let other = Service::new();
    write("0.1.0", &format!("{}/driver.wasm", other.address()));
    add().failure(3).one_error().says("which is on this machine or in your own network");
    // Neither does a redirect lead there.
    let (address, redirects) = redirecting(&format!("{}/driver.wasm", other.address()));
    let run = sandbox.run(&["plugin", "install", &address, "--yes"]).failure(7);
    run.one_error().says("it redirects to another server on this machine or in your own network");
    redirects.join().unwrap();
    assert_eq!(other.asked().len(), 0);
    assert_eq!(installed(&sandbox), json!([]));
    // One entry that cannot be read leaves the others.
    write("0.1.0", "driver.wasm");
    add().success().says("skipped 1 invalid release of driver");
    assert_eq!(installed(&sandbox)[0]["version"], "0.1.0");
}

/// The address of a server that answers one request with a redirect.
fn redirecting(to: &str) -> (String, std::thread::JoinHandle<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/driver.wasm", listener.local_addr().unwrap());
    let answer =
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = client.read(&mut request).unwrap();
        client.write_all(answer.as_bytes()).unwrap();
    });
    (address, server)
}

/// The same component with another custom section, which counts for more than the one that it has.
pub fn with_section(wasm: &[u8], name: &str, text: &[u8]) -> Vec<u8> {
    let section = [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), text].concat();
    let length = section.len();
    let length = [u8::try_from(length & 0x7f).unwrap() | 0x80, u8::try_from(length >> 7).unwrap()];
    [wasm, &[0], &length, &section].concat()
}
