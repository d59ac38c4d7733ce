//! Requests the hash of a folder that its user names, without a grant.

use alekseylearn_sdk::{
    Artifact, Destination, Error, Finding, Job, JobStatus, LogPage, OptionSpec, State, Training, s3, train,
};

struct Driver;

alekseylearn_sdk::plugin!(train = Driver);

impl train::Guest for Driver {
    fn options() -> Vec<OptionSpec> {
        vec![OptionSpec::inputs("input", "Folders", &["s3".to_owned()])]
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        let folders = training.options().entries("input");
        folders.iter().map(|(_, folder)| s3::folder_hash(folder).map(|hash| Finding::note(&hash))).collect()
    }

    fn prepare(_: &Training) -> Result<Destination, Error> {
        Ok(Destination::none())
    }

    fn preview(_: &Training) -> Result<String, Error> {
        Ok("{}".to_owned())
    }

    fn submit(_: &Training) -> Result<String, Error> {
        Ok("hashed".to_owned())
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
