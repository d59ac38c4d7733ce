//! Sends requests to where it was not allowed to, and tells which were answered.

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
        // Granted as a name, and a name of this machine.
        http::get(&format!("https://localhost:{port}/")),
        http::get("http://169.254.169.254/latest/meta-data/"),
        http::get(&format!("http://user:word@127.0.0.1:{port}/")),
        http::get(&format!("http://127.0.0.1:{port}@evil.example/")),
        // The credential is the host's to add, and nothing that sends it back is asked.
        http::get(&format!("{service}/")).header("authorization", "Bearer mine"),
        http::get(&format!("{service}/")).header("cookie", "session=mine"),
        http::get(&format!("{service}/")).header("host", "evil.example"),
        http::get(&format!("{service}/")).header("proxy-authorization", "Basic bWluZQ=="),
        // What stands for another method may be taken for that one.
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
