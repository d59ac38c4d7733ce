//! Sends a gigabyte of warnings.

use alekseylearn_sdk::progress;
use guests::{Error, Finding, Training};

guests::check!(check);

fn check(_: &Training) -> Result<Vec<Finding>, Error> {
    let text = "x".repeat(128 << 20);
    for _ in 0..8 {
        progress::warning(&text);
    }
    Err(Error::failed("all of it was taken").hint("it was dropped"))
}
