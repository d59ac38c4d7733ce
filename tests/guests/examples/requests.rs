//! Sends requests like a real driver, to the service in an option, and reports all responses.

use std::io::Read;

use alekseylearn_sdk::http;
use guests::{Error, Finding, Training};

guests::check!(check, origins = ["https://api.example.com" with "env:EXAMPLE_TOKEN", "https://open.example.com"]);

fn check(training: &Training) -> Result<Vec<Finding>, Error> {
    let service = training.options().text("service").unwrap_or_default();
    let mut seen = Vec::new();
    let mut answer =
        http::get(&format!("{service}/greeting?who=you")).header("x-greeting", "hello").send()?;
    let mut text = String::new();
    answer.read_to_string(&mut text).map_err(|error| Error::failed(error.to_string()))?;
    seen.push(format!("{} {text} {:?}", answer.status(), answer.header("content-length")));
    // Large enough to need many pieces in both directions.
    let large = vec![b'x'; 3 << 20];
    let answer = http::post(&format!("{service}/length")).body(large.clone()).send()?.success()?;
    seen.push(format!("sent {}", answer.text()?));
    let answer = http::Request::new("PUT", &format!("{service}/length")).send_from(&large[..])?.success()?;
    seen.push(format!("streamed {}", answer.text()?));
    seen.push(format!("read {}", http::get(&format!("{service}/large")).send()?.success()?.bytes()?.len()));
    let redirect = http::get(&format!("{service}/to/elsewhere")).send()?;
    seen.push(format!("{} to {:?}", redirect.status(), redirect.header("location")));
    let missing = http::get(&format!("{service}/status/404")).send()?.success();
    seen.push(format!("missing: {}", matches!(missing, Err(Error::NotFound(_)))));
    let notes = seen.iter().map(|text| Finding::note(text));
    Ok(notes.collect())
}
