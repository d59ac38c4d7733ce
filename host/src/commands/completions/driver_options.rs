//! Completes the options of the drivers that a command line selects.

use std::{ffi::OsString, sync::Arc, time::Duration};

use clap::{Arg, Command, ValueHint, builder::PossibleValuesParser};
use clap_complete::{ArgValueCandidates, CompletionCandidate};

use crate::{
    config::{Defaults, OptionSpec, OptionType, spell_out},
    environment::Environment,
    error::{Context, Result},
    plugin::{DriverKind, Plugins, Services},
    ui::Ui,
};

const PREFIX: &str = "--config.";
/// The time limit for loading drivers: nobody waits longer for a completion.
const PATIENCE: Duration = Duration::from_secs(2);

/// Adds the drivers' options to the command that takes them. Loads drivers only if an option may be completed.
pub(super) fn add(command: Command, environment: &Environment, words: &[OsString]) -> Command {
    if !wanted(words) {
        return command;
    }
    // Arguments that are not typed yet are no error.
    let lenient = command.clone().ignore_errors(true);
    let Ok(matches) = lenient.try_get_matches_from(spell_out(words.to_vec())) else { return command };
    let Some((name, given)) = matches.subcommand() else { return command };
    let kinds: &[DriverKind] = match name {
        "fit" => &[DriverKind::Train, DriverKind::Build],
        "init" => &[DriverKind::Build],
        _ => return command,
    };
    let chosen = |kind: DriverKind| {
        let given = given.try_get_one::<String>(&format!("{}_driver", kind.name())).ok().flatten();
        (kind, given.cloned())
    };
    let specs = options(environment, kinds.iter().copied().map(chosen)).unwrap_or_default();
    command.mut_subcommand(name, |command| {
        let keys = specs.clone();
        let keys = ArgValueCandidates::new(move || keys.iter().map(assignment).collect());
        let command = command.mut_arg("options", |arg| arg.add(keys));
        specs.into_iter().fold(command, |command, spec| command.arg(argument(spec)))
    })
}

/// Whether the last word, which is being typed, may become an option of a driver or its value.
fn wanted(words: &[OsString]) -> bool {
    let mut last = words.iter().rev().filter_map(|word| word.to_str());
    let (word, before) = (last.next().unwrap_or_default(), last.next().unwrap_or_default());
    let begins = !word.is_empty() && PREFIX.starts_with(word);
    begins || word.starts_with(PREFIX) || before.starts_with(PREFIX) || before == "-c" || before == "--config"
}

/// Loads the drivers and reads their options. If both have an option, the first driver's counts.
fn options(
    environment: &Environment,
    chosen: impl Iterator<Item = (DriverKind, Option<String>)>,
) -> Result<Vec<OptionSpec>> {
    let ui = Arc::new(Ui::silent());
    let services = Arc::new(Services::new(environment, ui.clone()));
    let plugins = Plugins::new(environment, services, ui)?;
    let defaults = Defaults::read(environment).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context(|| "cannot start".into())?;
    let mut all: Vec<OptionSpec> = Vec::new();
    let asking = async {
        for (kind, given) in chosen {
            let default = match kind {
                DriverKind::Build => defaults.build_driver(),
                DriverKind::Train => defaults.train_driver(),
            };
            let name = given.as_deref().or(default).unwrap_or("local");
            let specs = async {
                match kind {
                    DriverKind::Build => plugins.build_driver(name).await?.options().await,
                    DriverKind::Train => plugins.train_driver(name).await?.options().await,
                }
            };
            // The options of one driver are useful even if the other is broken.
            let specs: Vec<OptionSpec> = specs.await.unwrap_or_default();
            let new = |spec: &OptionSpec| all.iter().all(|known| known.key != spec.key);
            let specs: Vec<_> = specs.into_iter().filter(new).collect();
            all.extend(specs);
        }
    };
    let _ = runtime.block_on(async { tokio::time::timeout(PATIENCE, asking).await });
    Ok(all)
}

fn argument(spec: OptionSpec) -> Arg {
    let name =
        if spec.kind.is_named() { format!("config.{}.", spec.key) } else { format!("config.{}", spec.key) };
    let arg = Arg::new(name.clone()).long(name).help(spec.help).value_hint(ValueHint::Other);
    match spec.kind {
        _ if !spec.choices.is_empty() => arg.value_parser(PossibleValuesParser::new(spec.choices)),
        OptionType::Boolean => arg.value_parser(["true", "false"]),
        _ => arg,
    }
}

/// A candidate for `-c`.
fn assignment(spec: &OptionSpec) -> CompletionCandidate {
    let end = if spec.kind.is_named() { '.' } else { '=' };
    CompletionCandidate::new(format!("{}{end}", spec.key)).help(Some(spec.help.clone().into()))
}
