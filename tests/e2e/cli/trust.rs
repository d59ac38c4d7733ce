//! What a project's own files ask for is confirmed once: `--trust`, `alekseylearn trust`, or an answer on a terminal.

use std::fs;

use alekseylearn_tests::Sandbox;

const DRY_RUN: [&str; 3] = ["fit", "project/train.py", "--dry-run"];

/// A project that asks for another base image.
fn project(base_image: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("project/train.py", "");
    ask_for(&sandbox, base_image);
    sandbox
}

fn ask_for(sandbox: &Sandbox, base_image: &str) {
    let text = format!("[build.local]\nbase_image = '{base_image}'\n[train.local]\nhyperparameters.a = 1\n");
    sandbox.write("alekseylearn.toml", &text);
}

#[test]
fn an_untrusted_project_is_refused_until_it_is_confirmed() {
    let sandbox = project("first");
    let refused = sandbox.run(&DRY_RUN).failure(3).one_error().says("is not trusted").says("--trust");
    assert!(refused.stderr.contains("build.local.base_image = \"first\""), "{}", refused.stderr);
    assert!(!refused.stderr.contains("hyperparameters"), "the script's own: {}", refused.stderr);
    sandbox.run(&["check", "project/train.py"]).failure(3).one_error();

    sandbox.run(&[&DRY_RUN[..], &["--trust"]].concat()).success();
    sandbox.run(&DRY_RUN).success();
    ask_for(&sandbox, "second");
    sandbox.run(&DRY_RUN).failure(3).one_error().says("\"second\"");

    sandbox.run(&["trust"]).success();
    sandbox.run(&DRY_RUN).success();
    let listed = sandbox.run(&["trust", "--list", "--json"]).success().data();
    assert_eq!(listed["folders"].as_array().unwrap().len(), 1, "{listed}");
    sandbox.run(&["trust", "--revoke"]).success();
    sandbox.run(&["trust", "--revoke"]).failure(4).one_error();
    sandbox.run(&DRY_RUN).failure(3).one_error();
}

#[test]
fn the_users_own_file_needs_no_trust() {
    let sandbox = project("first");
    fs::remove_file(sandbox.path("alekseylearn.toml")).unwrap();
    let text = "[build.local]\nbase_image = 'mine'\n";
    sandbox.write_home(".config/alekseylearn/alekseylearn.toml", text);
    sandbox.run(&DRY_RUN).success();
    sandbox.run(&["trust"]).success();
}

#[test]
fn a_projects_own_dockerfile_is_confirmed_and_one_that_init_wrote_is_trusted() {
    let sandbox = Sandbox::new();
    sandbox.write("project/train.py", "");
    sandbox.write("project/alekseylearn/Dockerfile", "FROM scratch\nCOPY code/ /x/\n");
    sandbox.run(&DRY_RUN).failure(3).one_error().says("its own Dockerfile, from scratch");
    sandbox.run(&["trust", "project"]).success();
    sandbox.run(&DRY_RUN).success();

    fs::remove_dir_all(sandbox.path("project/alekseylearn")).unwrap();
    sandbox.run(&["init", "project/train.py", "--config.base_image=other"]).success();
    sandbox.run(&DRY_RUN).success();
}

#[test]
fn a_person_is_asked_on_a_terminal() {
    let mut sandbox = project("first");
    sandbox.set("TERM", "xterm").set("LANG", "C.UTF-8");
    for (answer, code) in [("n", 3), ("y", 0)] {
        let mut terminal = sandbox.on_terminal(80, &DRY_RUN);
        terminal.wait_for("Trust this folder? [y/N]");
        terminal.type_in(&format!("{answer}\r"));
        assert_eq!(terminal.end(), Some(code), "{}", terminal.raw());
    }
    sandbox.run(&DRY_RUN).success();
}
