//! `bench`: measures time and memory of the program, compared with similar tools, in one run. It checks only its stated
//! goals.

mod cloud_log;
mod drivers;
mod fetch;
mod local;
mod measure;
mod place;
mod report;
mod s3;
mod start;
mod submit;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Result, ensure};

use self::place::Place;
use self::report::Section;
use crate::dockerd::{Engine, docker};
use crate::process::{say, text};
use crate::workspace::root;
use crate::{base_image, dist};

/// The folder for the results of a whole run, named by date.
const FIGURES: &str = "docs/figures";

/// Receives each section as soon as it is ready: a part may take minutes, and fail late.
type Tell<'a> = &'a mut dyn FnMut(Section);
type Part = fn(&Place, Tell<'_>) -> Result<()>;

/// The parts, in the order of the report.
const PARTS: [(&str, Part); 6] = [
    ("start", |place, tell| {
        tell(start::help(place)?);
        tell(start::size(place)?);
        Ok(())
    }),
    ("drivers", |place, tell| {
        tell(drivers::answers(place)?);
        tell(drivers::compiling(place)?);
        Ok(())
    }),
    ("local", |place, tell| {
        tell(local::trivial(place)?);
        Ok(())
    }),
    ("logs", |place, tell| {
        tell(local::log(place)?);
        tell(cloud_log::followed(place)?);
        Ok(())
    }),
    ("submit", |place, tell| {
        tell(submit::unchanged(place)?);
        tell(submit::changed(place)?);
        Ok(())
    }),
    ("fetch", fetch::models),
];

/// Runs the command: all parts, and saves their figures; or only the named parts.
pub fn run_chore(wanted: &[&str]) -> Result<()> {
    let known: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
    for name in wanted {
        ensure!(known.contains(name), "unknown part `{name}`: the parts are {}", known.join(", "));
    }
    let program = program()?;
    let _engine = Engine::ensure()?;
    let place = Place::new(&program, base_image::ensure()?)?;
    let mut figures = head()?;
    print!("{figures}");
    for (name, part) in PARTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)) {
        say(format_args!("measuring: {name}"));
        part(&place, &mut |section| {
            print!("{section}");
            figures += &section.to_string();
        })?;
    }
    if wanted.is_empty() {
        let file = root().join(FIGURES).join(format!("{}.md", today()?));
        fs::create_dir_all(root().join(FIGURES))?;
        fs::write(&file, figures)?;
        say(format_args!("wrote {}", file.display()));
    }
    Ok(())
}

/// The program to measure: the distributed one, built from the current sources, unless a variable names another.
fn program() -> Result<PathBuf> {
    match env::var_os("ALEKSEYLEARN_PROGRAM") {
        Some(program) => Ok(program.into()),
        None => dist::make(),
    }
}

fn today() -> Result<String> {
    text(Command::new("date").args(["-u", "+%Y-%m-%d"]))
}

/// The environment on which the figures depend.
fn head() -> Result<String> {
    let engine = text(&mut docker(&["version", "--format", "{{.Server.Version}}"]))?;
    let cores = available_parallelism()?;
    // The first of three numbers is the load of the last minute.
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load =
        load.split(' ').next().map(|load| format!(", a load of {load} before it began")).unwrap_or_default();
    Ok(format!(
        "# Figures of {}\n\nMade by `cargo xtask bench`: contenders take turns, each row is one of them. {cores} cores, Docker \
         Engine {engine}{load}.\n",
        today()?
    ))
}
