//! Tries to write outside its job's folder.

use std::fs;

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(_: &Training) -> Result<Vec<Finding>, Error> {
    let places = ["/job/../evil", "/job/../../../../evil", "../evil", "/evil", "/tmp/evil", "evil"];
    let written = places.into_iter().filter(|place| fs::write(place, "evil").is_ok());
    Ok(written.map(|place| Finding::problem(&format!("wrote {place}"), "it should be refused")).collect())
}
