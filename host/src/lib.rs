//! alekseylearn trains a script or notebook on cloud compute with one command.
//!
//! Dependencies: `commands` → `job` → `plugin` → `capability`; every module may use `error`, `config`, `disk`,
//! `environment`, `interrupt` and `shell`.

#![cfg_attr(
    any(test, fuzzing),
    allow(clippy::disallowed_methods, reason = "tests create the files that they read")
)]

mod capability;
mod commands;
mod config;
mod disk;
mod environment;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod interrupt;
mod job;
mod panic;
mod plugin;
mod project;
mod shell;
mod ui;

use std::{process::ExitCode, sync::Arc};

use commands::Arguments;
use environment::Environment;
use error::{Error, Kind, Result};
use ui::{Style, Ui};

/// Parses the command line, runs the command, and returns the exit code.
pub fn run() -> ExitCode {
    Environment::clean();
    panic::listen();
    if Environment::is_completing() {
        commands::complete(Environment::arguments());
        return ExitCode::SUCCESS;
    }
    if Environment::arguments().get(1).is_some_and(|word| word == plugin::COMPILE) {
        return match panic::caught(plugin::compile_component) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&Ui::new(Style::PLAIN), &error),
        };
    }
    let arguments = match Arguments::read(Environment::arguments()) {
        Ok(arguments) => arguments,
        Err(error) if let Some(advised) = commands::misplaced(&Environment::arguments(), &error) => {
            let json = commands::wants_json(&Environment::arguments());
            return failed(&Ui::new(Style { json, ..Style::PLAIN }), &advised);
        }
        Err(error) if error.use_stderr() && commands::wants_json(&Environment::arguments()) => {
            return failed(&Ui::new(Style { json: true, ..Style::PLAIN }), &commands::misspelled(&error));
        }
        // Help, the version or a usage error: clap prints each to the right stream.
        Err(error) => error.exit(),
    };
    let environment = match Environment::read() {
        Ok(environment) => environment,
        Err(error) => {
            return failed(&Ui::new(Style { json: arguments.wants_json(), ..Style::PLAIN }), &error);
        }
    };
    let ui = Arc::new(Ui::new(arguments.style(&environment)));
    match panic::caught(|| work(arguments, environment, ui.clone())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&ui, &error),
    }
}

fn work(arguments: Arguments, environment: Environment, ui: Arc<Ui>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::failed("cannot start the async runtime").source(error))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = arguments.run(environment, ui.clone()) => outcome,
            never = ui.keep_talking() => match never {},
            () = ui.unheard() => Err(Error::new(Kind::Unheard, "output closed (broken pipe)")),
        }
    });
    // A thread that still reads from a service must not keep the program running.
    runtime.shutdown_background();
    outcome
}

fn failed(ui: &Ui, error: &Error) -> ExitCode {
    if error.kind() != Kind::Unheard {
        ui.error(error);
    }
    ExitCode::from(error.kind().exit_code())
}
