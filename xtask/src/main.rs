//! The chores of this workspace, as `cargo xtask CHORE`.
//!
//! Every chore may be repeated: it says in a line what it does, skips what is there already, and ends either well
//! or with one error that says what to do. What a chore found out (an image's name, variables) goes to stdout, and
//! everything else to stderr.

mod apt;
mod base_image;
mod dockerd;
mod plugins;
mod process;
mod wasm_target;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask CHORE

What these are made of
  wasm-target       make sure that rustc has wasm32-wasip2
  plugins           build the shipped drivers to target/plugins
  base-image        make sure that the engine has a Python image, and print its name

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

fn dispatch(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["wasm-target"] => wasm_target::ensure(),
        ["plugins"] => plugins::build(),
        ["base-image"] => base_image::run_chore(),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        [unknown, ..] => bail!("no such chore: {unknown} {}\n\n{HELP}", arguments[1..].join(" ")),
    }
}
