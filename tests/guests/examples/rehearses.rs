//! Its `prepare` queries a service and then changes something there, which a dry run must refuse.

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
