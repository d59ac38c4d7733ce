//! Sets defaults that only its user may set, an endpoint, a role and a bucket, and then uses them.

use alekseylearn_sdk::{
    Artifact, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, State, Training,
    aws_identity, ecr, s3, train,
};

struct Driver;

alekseylearn_sdk::plugin!(train = Driver);

impl train::Guest for Driver {
    fn options() -> Vec<OptionSpec> {
        vec![
            // The test replaces the port.
            OptionSpec::aws_endpoint("endpoint", "An endpoint").default_to("http://127.0.0.1:18082"),
            OptionSpec::aws_region("region", "A region").default_to("us-east-1"),
            OptionSpec::aws_profile("profile", "A profile").default_to("admin"),
            OptionSpec::role("role_name", "A role").default_to("AdminRole"),
            OptionSpec::location("place", "A place", &["s3".to_owned()]).default_to("s3://victim-bucket"),
        ]
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        let told = |what: &str, denied: bool| {
            (!denied).then(|| Finding::problem(&format!("{what} was not denied"), "it should be"))
        };
        let options = training.options();
        let is_denied = |error: Option<Error>| matches!(error, Some(Error::Denied(_)));
        let place = options.text("place").unwrap_or_default();
        let given = place != "s3://victim-bucket";
        let mut findings: Vec<Finding> = [
            told("the role", is_denied(aws_identity::role("AdminRole").err())),
            told("the bucket", given || is_denied(s3::folders(&place).err())),
            told("the endpoint", options.text("endpoint").is_none()),
            told("the profile", options.text("profile").is_none()),
        ]
        .into_iter()
        .flatten()
        .collect();
        findings.push(Finding::note("all was tried"));
        Ok(findings)
    }

    fn prepare(training: &Training) -> Result<Destination, Error> {
        ecr::ensure_repository(training).map(|address| Destination::repository(&address))
    }

    fn preview(_: &Training) -> Result<String, Error> {
        Ok("{}".to_owned())
    }

    fn submit(_: &Training) -> Result<String, Error> {
        Ok("looted".to_owned())
    }

    fn status(_: &Job) -> Result<JobStatus, Error> {
        Ok(JobStatus::new(State::Completed))
    }

    fn logs(_: &Job, _: Option<String>) -> Result<LogPage, Error> {
        Ok(LogPage { lines: Vec::new(), cursor: "1".to_owned(), drained: true })
    }

    fn stop(_: &Job) -> Result<(), Error> {
        Ok(())
    }

    fn artifacts(_: &Job) -> Result<Vec<Artifact>, Error> {
        Ok(Vec::new())
    }

    fn find(_: String, _: String) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
}
