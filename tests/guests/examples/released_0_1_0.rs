//! A plugin for contract 0.1.0 as it was released, built without the SDK. It must work as long as that line is
//! supported.

wit_bindgen::generate!({ path: "../contract/0.1.0", world: "train-plugin" });

use alekseylearn::driver::{
    options::OptionSpec,
    report::{Artifact, Destination, Finding, JobStatus, State},
    run::{Job, Training},
    types::{Error, LogPage, Problem},
};

struct Driver;

#[cfg(target_arch = "wasm32")]
export!(Driver);

fn unsupported() -> Error {
    Error::Unsupported(Problem {
        message: "0.1.0 works".into(),
        hint: Some("there is no more".into()),
        details: None,
    })
}

impl exports::alekseylearn::driver::train::Guest for Driver {
    fn options() -> Vec<OptionSpec> {
        let count = OptionSpec::integer("count", "A number");
        count.default("3");
        count.range(Some(1), Some(9));
        vec![count]
    }

    fn check(training: &Training) -> Result<Vec<Finding>, Error> {
        let count = training.options().integer("count").unwrap_or_default();
        Ok(vec![Finding::note(&format!("{} has count {count}", training.tag()))])
    }

    fn preview(_: &Training) -> Result<String, Error> {
        Ok("{}".into())
    }

    fn prepare(_: &Training) -> Result<Destination, Error> {
        Err(unsupported())
    }

    fn submit(_: &Training) -> Result<String, Error> {
        Err(unsupported())
    }

    fn status(_: &Job) -> Result<JobStatus, Error> {
        Ok(JobStatus::new(State::Completed))
    }

    fn logs(_: &Job, _: Option<String>) -> Result<LogPage, Error> {
        Err(unsupported())
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
