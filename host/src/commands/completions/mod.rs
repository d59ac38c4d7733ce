//! Shell completions, with clap_complete's engine. The shell calls this program at each TAB, so the candidates are always
//! current.

mod bash;
mod driver_options;
mod names;

use std::{ffi::OsString, iter};

use clap::CommandFactory;
use clap_complete::env::{CompleteEnv, EnvCompleter, Fish, Shells, Zsh};
use serde_json::json;

pub(super) use names::{artifacts, drivers, jobs_and_tags, plugins, tags};

use crate::{
    environment::{COMPLETING, Environment},
    error::{Context as _, Result},
    job::Context,
};

/// Generate shell completions
///
/// TAB then completes commands, options and files, and the names of drivers, their options and values, plugins, jobs and
/// tags. It queries neither Docker nor a service.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Shell to generate completions for
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  Bash: add this line to ~/.bashrc:
    source <(alekseylearn completions bash)

  Zsh: add this line to ~/.zshrc, below compinit:
    source <(alekseylearn completions zsh)

  Fish: run this once:
    alekseylearn completions fish > ~/.config/fish/completions/alekseylearn.fish";

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &bash::Bash,
            Self::Zsh => &Zsh,
            Self::Fish => &Fish,
        }
    }
}

const PROGRAM: &str = "alekseylearn";

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let shell = arguments.shell.completer();
    let mut script = Vec::new();
    shell
        .write_registration(COMPLETING, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .context(|| "cannot write the script".into())?;
    let script = String::from_utf8_lossy(&script);
    context.ui.result(script.trim(), json!({ "shell": shell.name(), "script": script.trim() }));
    Ok(())
}

/// Prints the candidates for a shell. An error only means fewer candidates: it must not disturb the line being typed.
pub fn complete(arguments: Vec<OsString>) {
    let Ok(environment) = Environment::read() else { return };
    let words = arguments.iter().skip_while(|word| *word != "--").skip(1).cloned().collect::<Vec<_>>();
    let command = || {
        let command = super::Arguments::command();
        driver_options::add(command, &environment, &words)
    };
    let shells: Vec<_> = [Shell::Bash, Shell::Zsh, Shell::Fish].map(Shell::completer).into();
    // Without a word, the library would print a script instead of completing.
    let arguments = arguments.into_iter().chain(iter::repeat_n("".into(), usize::from(words.is_empty())));
    let engine = CompleteEnv::with_factory(command).var(COMPLETING).shells(Shells(&shells));
    let _ = engine.try_complete(arguments, Some(&environment.current));
}
