//! Writes to its job's folder without end, in a way that an option selects.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
};

use alekseylearn_sdk::Destination;
use guests::{Error, Finding, Training};

guests::check!(check, prepare = prepare, submit = submit);

fn check(_: &Training) -> Result<Vec<Finding>, Error> {
    Ok(Vec::new())
}

fn prepare(_: &Training) -> Result<Destination, Error> {
    Ok(Destination::none())
}

fn submit(training: &Training) -> Result<String, Error> {
    let way = training.options().text("service").unwrap_or_default();
    let block = vec![1; 1 << 20];
    for number in 0_u64.. {
        let name = format!("/job/{number}");
        // Errors do not stop it.
        let _ = match way.as_str() {
            "one file" => append("/job/evil", &block),
            "the same place" => fs::write("/job/evil", &block),
            "many files" => File::create(name).map(drop),
            "many folders" => fs::create_dir(name),
            "folders in folders" => {
                fs::create_dir_all("/job/evil").and_then(|()| deeper(usize::try_from(number).unwrap_or(0)))
            }
            "a size" => File::create("/job/evil").and_then(|file| file.set_len(number << 20)),
            "renaming" => append("/job/evil", &block)
                .and_then(|()| fs::rename("/job/evil", "/job/evil"))
                .and_then(|()| File::create(&name).map(drop))
                .and_then(|()| fs::rename(&name, &name)),
            _ => return Ok(way),
        };
    }
    Err(Error::failed("there are no more numbers"))
}

fn append(path: &str, block: &[u8]) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(block)
}

/// Creates folders up to the maximum depth of a path, and then again from the top.
fn deeper(number: usize) -> std::io::Result<()> {
    let depth = number % 1_000;
    fs::create_dir(format!("/job/evil/{}{}", "a/".repeat(depth), number))?;
    fs::create_dir(format!("/job/evil/{}a", "a/".repeat(depth)))
}
