//! The chores of this workspace, as `cargo xtask CHORE`.
//!
//! Every chore may be repeated: it says in a line what it does, skips what is there already, and ends either well
//! or with one error that says what to do. What a chore found out (an image's name, variables) goes to stdout, and
//! everything else to stderr.

mod apt;
mod base_image;
mod bench;
mod daemon;
mod deny;
mod dist;
mod dockerd;
mod fuzz;
mod guests;
mod install;
mod plugins;
mod process;
mod python_guests;
mod quickstart;
mod rig;
mod test;
mod tools;
mod wasm_target;
mod wheel;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask CHORE

To use it
  quickstart        build everything and train examples/digits on this machine
  dist              build the program to hand out, target/dist/alekseylearn, and target/dist/plugins
  wheel             build the Python package with the program inside to target/wheels, and try it
  rig up | down     start or stop the rig (a registry, S3, SageMaker); `eval \"$(cargo xtask rig up)\"`

To check it
  test [FILTER…]    every test, with a rig of their own
  fuzz [TARGET]     hostile bytes for whatever reads a stranger's, 15 s each or --seconds N
  contract          whether plugins built for a released contract still work with wit/
  bench [PART…]     what the program costs, beside what its users know: to docs/figures
  deny              licences, duplicate versions and sources of the dependencies

What these are made of
  wasm-target       make sure that rustc has wasm32-wasip2
  plugins           build the shipped drivers to target/plugins, the others to target/installable
  base-image        make sure that the engine has a Python image, and print its name
  tools             fetch the rig's parts to the cache folder

Caches are outside of the clone: $XDG_CACHE_HOME/alekseylearn, and cargo's target folder below it
unless CARGO_TARGET_DIR is set.";

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

/// The check itself is a test, so that no test run forgets it.
fn contract() -> Result<()> {
    let test = ["test", "--package", "alekseylearn-tests", "--test", "e2e", "--", "contract::"];
    process::run(&mut workspace::cargo(&test)?)
}

fn dispatch(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["quickstart"] => quickstart::run_chore(),
        ["dist"] => dist::run_chore(),
        ["wheel"] => wheel::run_chore(),
        ["rig", "up"] => rig::up(),
        ["rig", "down"] => rig::down(),
        ["test", filters @ ..] => test::run_chore(filters),
        ["fuzz", arguments @ ..] => fuzz::run_chore(arguments),
        ["deny"] => deny::run_chore(),
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
        [unknown, ..] => bail!("no such chore: {unknown} {}\n\n{HELP}", arguments[1..].join(" ")),
    }
}
