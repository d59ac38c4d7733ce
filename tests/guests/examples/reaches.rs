//! Sends requests that are not allowed, and reports those that got a response.

use alekseylearn_sdk::http::{self, Request};
use guests::{Error, Finding, Training};

guests::check!(check);

fn check(training: &Training) -> Result<Vec<Finding>, Error> {
    let service = training.options().text("service").unwrap_or_default();
    let port = service.rsplit(':').next().unwrap_or_default();
    let mut requests = vec![
        http::get("https://ungranted.example.com"),
        http::get("http://ungranted.example.com"),
        http::get(&format!("http://localhost:{port}/")),
        http::get(&format!("http://127.0.0.2:{port}/")),
        http::get("http://127.0.0.1:1/"),
        http::get(&format!("https://127.0.0.1:{port}/")),
        http::get(&format!("ftp://127.0.0.1:{port}/")),
        // Granted by name, but the name resolves to this machine.
        http::get(&format!("https://localhost:{port}/")),
        http::get("http://169.254.169.254/latest/meta-data/"),
        http::get(&format!("http://user:word@127.0.0.1:{port}/")),
        http::get(&format!("http://127.0.0.1:{port}@evil.example/")),
        // Only the host adds credentials, and sends no request that would return them.
        http::get(&format!("{service}/")).header("authorization", "Bearer mine"),
        http::get(&format!("{service}/")).header("cookie", "session=mine"),
        http::get(&format!("{service}/")).header("host", "evil.example"),
        http::get(&format!("{service}/")).header("proxy-authorization", "Basic bWluZQ=="),
        // The service could apply a method override.
        http::get(&format!("{service}/")).header("x-http-method-override", "DELETE"),
        http::get(&format!("{service}/")).header("X-Method-Override", "DELETE"),
        http::get(&format!("{service}/?a=b&_method=DELETE")),
        Request::new("TRACE", &format!("{service}/")),
        Request::new("CONNECT", &format!("{service}/")),
    ];
    if let Some(place) = http::get(&format!("{service}/to/http://127.0.0.1:1/")).send()?.header("location") {
        requests.push(http::get(place));
    }
    let mut answered = Vec::new();
    let mut number = 0;
    for request in requests {
        number += 1;
        if let Ok(answer) = request.send() {
            answered
                .push(Finding::problem(&format!("number {number} got {}", answer.status()), "it should not"));
        }
    }
    if answered.is_empty() {
        return http::get("https://ungranted.example.com/path?query").send().map(|_| answered);
    }
    Ok(answered)
}
