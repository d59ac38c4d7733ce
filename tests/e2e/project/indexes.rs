//! Private package indexes: by the configuration that pip and uv have anyway, and without any trace of the password.

use std::process::Command;

use alekseylearn_tests::{PackageIndex, Sandbox, base_image, guests_or_skip, skipped, wheel};

const PASSWORD: &str = "s3cr3t-p%40ss";
/// As it is sent.
const DECODED: &str = "s3cr3t-p@ss";
const SCRIPT: &str = "import privately\nprint('privately', privately.VERSION)\n";

/// A training folder that needs what only a private index has; none where there is no engine.
fn private() -> Option<(Sandbox, PackageIndex, String)> {
    let Some(base) = base_image() else {
        skipped("ALEKSEYLEARN_BASE_IMAGE is not set: run `cargo xtask test`");
        return None;
    };
    let sandbox = Sandbox::new();
    wheel(&sandbox.path("wheels"), "privately", "1.0");
    wheel(&sandbox.path("wheels"), "privately", "2.0");
    let index = PackageIndex::of(&sandbox.path("wheels"), "ada", DECODED);
    Some((sandbox, index, format!("--config.base_image={base}")))
}

/// No file of a folder, and no output, holds the password in any form.
fn is_clean(text: &[u8]) -> bool {
    let forms = [PASSWORD, DECODED, "YWRhOnMzY3IzdC1wQHNz"];
    !forms.iter().any(|form| text.windows(form.len()).any(|window| window == form.as_bytes()))
}

fn docker(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What a build with the same cache finds in it.
fn cache_is_clean(sandbox: &Sandbox, base: &str) {
    let base = base.split_once('=').unwrap().1;
    let mounts = ["uv", "pip"].map(|tool| {
        format!("--mount=type=cache,id=alekseylearn-wheels-{tool}-linux-amd64,target=/cache/{tool}")
    });
    // A name that no build had before, so that it is really run.
    let look = format!("! grep -rqF s3cr3t-p /cache && ls /cache/uv && : {}", sandbox.path("").display());
    let end = "ENTRYPOINT [\"python3\", \"-c\", \"pass\"]";
    let dockerfile = format!("FROM {base}\nRUN {} {look}\n{end}\n", mounts.join(" "));
    sandbox.write("probe/train.py", "");
    sandbox.write("probe/alekseylearn/Dockerfile", &dockerfile);
    sandbox.run(&["fit", "probe/train.py", "-v", "--trust"]).success().says("wheels-v");
}

#[test]
fn an_index_of_pips_configuration_leaves_no_password_anywhere() {
    let Some((sandbox, index, base)) = private() else { return };
    let host = index.host().to_owned();
    let configure = |password: &str| {
        let trusted = host.split(':').next().unwrap();
        let text =
            format!("[global]\nindex-url = http://ada:{password}@{host}/simple/\ntrusted-host = {trusted}\n");
        sandbox.write_home(".config/pip/pip.conf", &text);
    };
    configure(PASSWORD);
    sandbox.write("secretly/train.py", SCRIPT);
    // Never installed before, by any test.
    let own = sandbox.path("").display().to_string();
    sandbox.write("secretly/requirements.txt", &format!("privately==1.0\n# {own}\n"));
    let fit = ["fit", "secretly/train.py", base.as_str(), "-v"];
    let plan = sandbox.run(&[&fit[..], &["--dry-run"]].concat()).success();
    assert!(is_clean(plan.stdout.as_bytes()) && is_clean(plan.stderr.as_bytes()));
    let run = sandbox.run(&fit).success();
    assert!(run.stdout.contains("privately 1.0"), "{}", run.stdout);
    assert!(is_clean(run.stdout.as_bytes()) && is_clean(run.stderr.as_bytes()), "{}", run.stderr);
    assert!(index.asked().iter().any(|path| path.ends_with("privately-1.0-py3-none-any.whl")));

    let image = sandbox.newest_job()["image"].as_str().unwrap().to_owned();
    assert!(is_clean(&docker(&["save", &image])), "a layer holds the password");
    assert!(is_clean(&docker(&["history", "--no-trunc", &image])));
    assert!(is_clean(&docker(&["inspect", &image])));
    cache_is_clean(&sandbox, &base);
    let kept = Command::new("grep").args(["-rlF", "s3cr3t-p"]).arg(sandbox.data()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&kept.stdout), "", "the record holds the password");

    // Another password is no other image.
    index.change("ada", "new");
    configure("new");
    sandbox.write("secretly/train.py", &format!("{SCRIPT}# new\n"));
    let run = sandbox.run(&fit).success();
    assert!(!run.stderr.contains("uv pip install"), "{}", run.stderr);
    // An index that does not let in says so, and nothing of who came.
    configure(PASSWORD);
    sandbox.write("secretly/requirements.txt", "privately==2.0\n");
    let run = sandbox.run(&fit).failure(3).one_error();
    let run =
        run.says(&format!("the package index at {host} rejected the credentials")).says("(401 Unauthorized)");
    assert!(is_clean(run.stderr.as_bytes()), "{}", run.stderr);
}

#[test]
fn indexes_of_uv_and_logins_by_variables_and_netrc() {
    let Some((mut sandbox, index, base)) = private() else { return };
    let host = index.host().to_owned();
    sandbox.write("named/train.py", SCRIPT);
    sandbox.write("named/requirements.txt", "privately==1.0\n");
    sandbox.set("UV_INDEX", &format!("corp-1=http://{host}/simple/"));
    sandbox.set("UV_INDEX_CORP_1_USERNAME", "ada").set("UV_INDEX_CORP_1_PASSWORD", DECODED);
    let fit = ["fit", "named/train.py", base.as_str()];
    assert!(sandbox.run(&fit).success().stdout.contains("privately 1.0"));

    sandbox.unset("UV_INDEX").unset("UV_INDEX_CORP_1_USERNAME").unset("UV_INDEX_CORP_1_PASSWORD");
    sandbox.write_home(".config/uv/uv.toml", &format!("[[index]]\nurl = \"http://{host}/simple/\"\n"));
    let machine = host.split(':').next().unwrap();
    sandbox.write_home(
        ".netrc",
        &format!(
            "machine elsewhere.example login x password y\nmachine {machine} login ada password {DECODED}\n"
        ),
    );
    sandbox.write("named/requirements.txt", "privately==2.0\n");
    assert!(sandbox.run(&fit).success().stdout.contains("privately 2.0"));
}

#[test]
fn a_password_in_a_list_of_requirements_is_taken_out() {
    let Some((mut sandbox, index, base)) = private() else { return };
    let host = index.host().to_owned();
    sandbox.write("written/train.py", &format!("{SCRIPT}print(open('requirements.txt').read())\n"));
    let list =
        format!("--extra-index-url http://${{INDEX_USER}}:{PASSWORD}@{host}/simple/\nprivately==1.0\n");
    sandbox.write("written/requirements.txt", &list);
    // It asks for a variable of the user's, who agrees.
    let fit = ["fit", "written/train.py", base.as_str(), "--trust"];
    let run = sandbox.run(&fit).failure(2).one_error();
    run.says("requirements.txt needs the variable INDEX_USER, which is not set");
    sandbox.set("INDEX_USER", "ada");
    let run = sandbox.run(&fit).success();
    assert!(
        run.stdout.contains(&format!("privately 1.0\n--extra-index-url http://{host}/simple/")),
        "{}",
        run.stdout
    );
    let image = sandbox.newest_job()["image"].as_str().unwrap().to_owned();
    assert!(is_clean(&docker(&["save", &image])), "a layer holds the password");

    // Without BuildKit there is no way to hand it on.
    sandbox.set("DOCKER_BUILDKIT", "0");
    let run = sandbox.run(&fit).failure(8).one_error();
    run.says("would stay in the image: the classic builder does not support secrets")
        .says("unset DOCKER_BUILDKIT");
    // One host, two logins.
    sandbox
        .write_home(".config/pip/pip.conf", &format!("[global]\nindex-url = http://bob:x@{host}/simple/\n"));
    sandbox.run(&fit).failure(2).one_error().says("two logins for").says("pip's configuration");
}

/// The attack: a build driver from elsewhere adds a file that the user's own Dockerfile runs while the logins are mounted.
#[test]
fn a_strangers_file_in_the_users_build_gets_no_logins() {
    let guests = guests_or_skip!();
    let Some((sandbox, index, base)) = private() else { return };
    let host = index.host().to_owned();
    let address = format!("[global]\nindex-url = http://ada:{PASSWORD}@{host}/simple/\n");
    sandbox.write_home(".config/pip/pip.conf", &address);
    let base = base.split_once('=').unwrap().1;
    let own = sandbox.path("").display().to_string();
    let dockerfile = |look: &str| {
        format!(
            "FROM {base}\nCOPY helper.sh /\nRUN --mount=type=secret,id=netrc {look} && : {own}\nENTRYPOINT [\"true\"]\n"
        )
    };
    sandbox.write("train.py", "");
    let file = guests.join("plants.wasm");
    let install =
        ["plugin", "install", file.to_str().unwrap(), "--name", "plants", "--yes", "--grant", "docker"];
    sandbox.run(&install).success();
    sandbox.write("alekseylearn/Dockerfile", &dockerfile("test ! -e /run/secrets/netrc"));
    let fit = ["fit", "train.py", "--build-driver", "plants", "--config.file=helper.sh", "--trust"];
    sandbox.run(&fit).success().says("this build gets no package index credentials");
    // The user's own Dockerfile with a file of the user's own has them.
    sandbox.write("alekseylearn/helper.sh", "");
    sandbox.write("alekseylearn/Dockerfile", &dockerfile("test -e /run/secrets/netrc"));
    sandbox.run(&["fit", "train.py"]).success();
}
