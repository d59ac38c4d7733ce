//! Reads an option that it does not declare.

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(training: &Training) -> Result<Vec<Finding>, Error> {
    let options = training.options();
    Ok(options.text("servise").into_iter().map(|text| Finding::note(&text)).collect())
}
