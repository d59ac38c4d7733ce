//! Makes itself ready by asking a service, and then by changing something there: the latter has no place in a dry run.

use alekseylearn_sdk::{Destination, http};
use guests::{Error, Finding, Training};

guests::check!(check, prepare = prepare, origins = ["https://api.example.com"]);

fn check(_: &Training) -> Result<Vec<Finding>, Error> {
    Ok(Vec::new())
}

fn prepare(training: &Training) -> Result<Destination, Error> {
    let service = training.options().text("service").unwrap_or_default();
    http::get(&format!("{service}/greeting")).send()?.success()?;
    http::post(&format!("{service}/length")).body("made ready").send()?.success()?;
    Ok(Destination::none())
}
