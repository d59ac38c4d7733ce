//! Which account, region and endpoint a run takes: those of its options, else those of the surroundings.

use std::fs;

use alekseylearn_tests::{Rig, Run, Sandbox, base_image_or_skip, rig_or_skip};

use super::{fit, run};

/// A user of whom the variables tell nothing, and the configuration all but the endpoint, in a profile.
fn user(rig: &Rig) -> Sandbox {
    let environment = rig.environment();
    let profile = format!(
        "[profile work]\nregion = {}\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        environment["AWS_REGION"], environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    );
    let mut sandbox = Sandbox::with_rig(rig);
    for name in
        ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    {
        sandbox.unset(name);
    }
    sandbox.write_home(".aws/config", &profile);
    sandbox
}

#[test]
fn a_job_is_asked_for_and_found_again_by_the_options_that_it_was_made_with() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = user(&rig);
    sandbox.write("train.py", "print('trained')\nopen('/opt/ml/model/m', 'w').write('x')\n");
    run(&sandbox, &fit(&rig, &base, &["train.py"])).failure(3).one_error();

    let endpoint = format!("--config.endpoint={}", rig.environment()["AWS_ENDPOINT_URL"]);
    let more = ["train.py", "--config.profile=work", &endpoint, "--fetch", "out"];
    run(&sandbox, &fit(&rig, &base, &more)).success();
    assert_eq!(fs::read_to_string(sandbox.path("out/m")).unwrap(), "x");
    // Another terminal says nothing of it.
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    assert_eq!(sandbox.run(&["status", &job, "--json"]).success().data()["state"], "completed");
    assert!(sandbox.run(&["logs", &job]).success().stdout.contains("trained"));
    sandbox.run(&["fetch", "again", &job]).success();
    assert!(sandbox.path("again/m").is_file());
}

#[test]
fn the_options_win_over_the_surroundings() {
    let (rig, base) = (rig_or_skip!(), base_image_or_skip!());
    let sandbox = Sandbox::with_rig(&rig);
    sandbox.write("train.py", "");
    let place = format!("--config.output_path=s3://{}/jobs", rig.name("foreign_bucket"));
    let check = |sandbox: &Sandbox, more: &[&str]| -> Run {
        let options = fit(&rig, &base, &[&["train.py", &place, "--json"], more].concat());
        let arguments: Vec<String> =
            std::iter::once("check".to_owned()).chain(options.into_iter().skip(1)).collect();
        run(sandbox, &arguments)
    };
    let problems = check(&sandbox, &[]).failure(2).data()["findings"].to_string();
    assert!(problems.contains("set --config.region=eu-west-1"), "{problems}");
    let notes = check(&sandbox, &["--config.region=eu-west-1"]).success().data()["findings"].to_string();
    assert!(notes.contains("region eu-west-1"), "{notes}");
    // A profile's credentials are taken, or none.
    sandbox.write_home(".aws/config", "[profile empty]\nregion = us-east-1\n");
    let problems = check(&sandbox, &["--config.profile=empty"]).failure(3).data()["findings"].to_string();
    assert!(problems.contains("credentials"), "{problems}");

    for (option, says) in [
        ("--config.region=Europe", "`Europe` is not a region"),
        ("--config.endpoint=http://example.com", "is not an https:// address"),
        ("--config.profile=", "`` is not a profile"),
    ] {
        run(&sandbox, &fit(&rig, &base, &["train.py", option])).failure(2).one_error().says(says);
    }
    // Requests that are signed for its user go nowhere that a project names.
    let endpoint = "[train.sagemaker]\nendpoint = 'https://example.com'\n";
    sandbox.write("alekseylearn.toml", endpoint);
    run(&sandbox, &fit(&rig, &base, &["train.py", "--trust"]))
        .failure(2)
        .one_error()
        .says("only the command line");
}
