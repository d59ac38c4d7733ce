//! Writes to standard error, and then sleeps for a day.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use guests::{Error, Finding, Training};

guests::check!(check);

fn check(_: &Training) -> Result<Vec<Finding>, Error> {
    let mut words = String::new();
    for line in 0..100_000 {
        let _ = writeln!(words, "line {line}");
    }
    words.push_str("good night\n");
    let _ = std::io::stderr().write_all(words.as_bytes());
    std::thread::sleep(Duration::from_secs(86_400));
    Err(Error::failed("it slept for a day"))
}
