//! The development commands of this workspace: `cargo xtask COMMAND`.
//!
//! Every command can be repeated. It skips what is already done, and ends with success or with one error that says what to
//! do. Results (an image's name, variables) go to stdout, everything else to stderr.

mod apt;
mod base_image;
mod bench;
mod crates;
mod daemon;
mod deny;
mod dist;
mod dockerd;
mod docs;
mod fuzz;
mod guests;
mod install;
mod plugins;
mod process;
mod python_guests;
mod quickstart;
mod release;
mod rig;
mod test;
mod tools;
mod wasm_target;
mod wheel;
mod workflows;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask COMMAND

Use it
  quickstart        build everything and train examples/digits on this machine
  dist              build the program to distribute, target/dist/alekseylearn, and an archive of it
  wheel             build the Python package with the program in it to target/wheels, and try it
  rig up | down     start or stop the rig (a registry, S3, SageMaker); `eval \"$(cargo xtask rig up)\"`

Check it
  test [FILTER…]    run every test, with a separate rig
  fuzz [TARGET]     fuzz all code that reads untrusted bytes, 15 s each or --seconds N
  contract          check that plugins built for a released contract still work with wit/
  bench [PART…]     compare speed and memory with similar tools, and write docs/figures
  deny              check licences, duplicate versions and sources of the dependencies
  workflows         check the workflows and issue templates in .github
  advisories        check the dependencies for known vulnerabilities; needs a network
  docs [--check]    write the parts of docs/reference that are made from the program
  book              render docs/ to target/book
  crates            package the published crates, and compile each from its package
  release VERSION --dry-run [--wheel] [--program FILE]
                    make and check all files of a release, in target/release-VERSION

Build the parts
  wasm-target       install wasm32-wasip2 for rustc if it is missing
  plugins           build the shipped drivers to target/plugins, the others to target/installable
  base-image        provide a Python image in the engine, and print its name
  tools             download the rig's parts to the cache folder

Caches are outside of the clone, in $XDG_CACHE_HOME/alekseylearn, with cargo's target folder in it unless
CARGO_TARGET_DIR is set.";

fn main() -> ExitCode {
    process::watch_for_interrupts();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if process::interrupted() => {
            eprintln!("xtask: interrupted");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("xtask: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The check is a test, so that every test run includes it.
fn contract() -> Result<()> {
    let test = ["test", "--package", "alekseylearn-tests", "--test", "e2e", "--", "contract::"];
    process::run(&mut workspace::cargo(&test)?)
}

fn dispatch(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["quickstart"] => quickstart::run_chore(),
        ["dist", arguments @ ..] => dist::run_chore(arguments),
        ["wheel"] => wheel::run_chore(),
        ["rig", "up"] => rig::up(),
        ["rig", "down"] => rig::down(),
        ["test", filters @ ..] => test::run_chore(filters),
        ["fuzz", arguments @ ..] => fuzz::run_chore(arguments),
        ["deny"] => deny::run_chore(),
        ["workflows"] => workflows::run_chore(),
        ["advisories"] => deny::advisories(),
        ["docs", arguments @ ..] => docs::run_chore(arguments),
        ["book"] => docs::book(),
        ["crates"] => crates::run_chore(),
        ["release", arguments @ ..] => release::run_chore(arguments),
        ["contract"] => contract(),
        ["bench", parts @ ..] => bench::run_chore(parts),
        ["wasm-target"] => wasm_target::ensure(),
        ["plugins"] => plugins::build(),
        ["base-image"] => base_image::run_chore(),
        ["tools"] => tools::ensure().map(drop),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        [unknown, ..] => bail!("unknown command: {unknown} {}\n\n{HELP}", arguments[1..].join(" ")),
    }
}
