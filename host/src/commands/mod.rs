//! One file per command: its arguments, whose comments are the help, and what it does.

mod check;
mod clean;
mod completions;
mod copy;
mod doctor;
mod driver;
mod fetch;
mod fit;
mod init;
mod jobs;
mod logs;
mod misplaced;
mod packages;
mod plugin;
mod report;
mod reproduce;
mod schema;
mod status;
mod stop;
mod training;
mod trust;

use std::{ffi::OsString, sync::Arc};

use clap::{Parser, Subcommand, error::ErrorKind};

pub use completions::complete;
pub use misplaced::misplaced;

use crate::{
    config::spell_out,
    environment::{Environment, Look},
    error::{Error, Kind, Result},
    interrupt::interrupted,
    job::Context,
    plugin::{Plugins, Services},
    ui::{Style, Ui, Volume},
};

/// Train a script or notebook on cloud compute with one command
#[derive(Debug, Parser)]
#[command(name = "alekseylearn", version, after_long_help = exit_codes(), propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    style: StyleArguments,
}

/// How to say it
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
struct StyleArguments {
    /// Write one JSON object a line to standard output, instead of text
    #[arg(long, global = true)]
    json: bool,

    /// Say more
    #[arg(short, long, global = true)]
    verbose: bool,

    /// Say only results, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Colours; `auto` has them on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    fn of(self, look: Look) -> Look {
        match self {
            Self::Auto => look,
            Self::Always => Look { color: true, ..look },
            Self::Never => Look { color: false, ..look },
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Fit(fit::Arguments),
    Check(check::Arguments),
    Fetch(fetch::Arguments),
    Jobs(jobs::Arguments),
    Status(status::Arguments),
    Logs(logs::Arguments),
    Stop(stop::Arguments),
    Report(report::Arguments),
    Reproduce(reproduce::Arguments),
    Init(init::Arguments),
    Copy(copy::Arguments),
    Doctor(doctor::Arguments),
    Clean(clean::Arguments),
    #[command(subcommand)]
    Driver(driver::Arguments),
    #[command(subcommand)]
    Plugin(plugin::Arguments),
    Trust(trust::Arguments),
    Completions(completions::Arguments),
    Schema(schema::Arguments),
}

impl Arguments {
    /// Reads a command line, `--config.KEY=VALUE` included.
    ///
    /// # Errors
    /// It is wrong, or asks for help.
    pub fn read(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(spell_out(arguments))
    }

    /// Another program listens.
    pub fn wants_json(&self) -> bool {
        self.style.json
    }

    /// How the user wants to be told.
    pub fn style(&self, environment: &Environment) -> Style {
        // The log is what `logs` is for.
        let wants_logs = matches!(self.command, Command::Logs(_));
        let volume = match (self.style.quiet, self.style.verbose) {
            (true, _) if !wants_logs => Volume::Quiet,
            (_, true) => Volume::Verbose,
            _ => Volume::Normal,
        };
        let (json, color) = (self.style.json, self.style.color);
        let (out, err) = (color.of(environment.out), color.of(environment.err));
        Style { json, volume, out, err, interactive: environment.interactive }
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// Whatever the command fails with.
    pub async fn run(self, environment: Environment, ui: Arc<Ui>) -> Result<()> {
        let services = Arc::new(Services::new(&environment, ui.clone()));
        let plugins = Plugins::new(&environment, services.clone(), ui.clone())?;
        let context = Context { environment, ui, plugins, services };
        self.command.run(&context).await
    }
}

impl Command {
    async fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Fit(arguments) => fit::run(context, arguments).await,
            Self::Check(arguments) => check::run(context, arguments).await,
            Self::Fetch(arguments) => fetch::run(context, &arguments).await,
            Self::Jobs(arguments) => jobs::run(context, &arguments).await,
            Self::Status(arguments) => status::run(context, &arguments).await,
            Self::Logs(arguments) => logs::run(context, &arguments).await,
            Self::Stop(arguments) => stop::run(context, &arguments).await,
            Self::Report(arguments) => report::run(context, &arguments).await,
            Self::Reproduce(arguments) => reproduce::run(context, arguments).await,
            Self::Init(arguments) => init::run(context, arguments).await,
            Self::Copy(arguments) => copy::run(context, &arguments),
            Self::Doctor(arguments) => doctor::run(context, &arguments).await,
            Self::Clean(arguments) => clean::run(context, &arguments).await,
            Self::Driver(arguments) => driver::run(context, &arguments).await,
            Self::Plugin(arguments) => plugin::run(context, arguments).await,
            Self::Trust(arguments) => trust::run(context, &arguments),
            Self::Completions(arguments) => completions::run(context, &arguments),
            Self::Schema(arguments) => schema::run(context, &arguments),
        }
    }
}

/// A command line that cannot be read asks for JSON.
pub fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// What is wrong with a command line, in the words of clap: the error, tips, and how it is used.
pub fn misspelled(error: &clap::Error) -> Error {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::invalid("a command is missing").hint("`--help` lists them");
    }
    let text = error.render().to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let parts: Vec<&str> = rest.split("\n\n").map(str::trim).filter(|part| !part.is_empty()).collect();
    let lines = message.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    Error::invalid(lines.trim_start_matches("error: ")).hint(parts.join("; "))
}

/// Work that Ctrl-C may end at any point; `hint` says what that leaves.
async fn interruptible<T>(work: impl Future<Output = Result<T>>, hint: &str) -> Result<T> {
    tokio::select! {
        biased;
        () = interrupted() => Err(Error::new(Kind::Interrupted, "interrupted").hint(hint)),
        done = work => done,
    }
}

fn exit_codes() -> String {
    let lines = Kind::ALL.iter().map(|kind| format!("  {:>3}  {}", kind.exit_code(), kind.meaning()));
    let lines: Vec<String> = ["    0  it worked".to_owned()].into_iter().chain(lines).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// Whatever a message tells to type is a command that exists, with options that it has.
    #[test]
    fn every_command_in_a_message_can_be_given() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut commands = Vec::new();
        for folder in ["src", "../plugins", "../sdk/src"] {
            collect(&root.join(folder), &mut commands);
        }
        let wrong: Vec<String> = commands
            .iter()
            .filter_map(|(path, command)| {
                let words = command.split_whitespace().map(|word| OsString::from(word.trim_matches('\'')));
                let error = Arguments::read(words.collect()).err()?;
                let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
                (!is_help).then(|| format!("{}: `{command}`: {error}", path.display()))
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(commands.len() > 30, "there are {}", commands.len());
    }

    /// What stands in backticks in the sources as a command of this program; values for what is filled in.
    fn collect(folder: &Path, commands: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, commands);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // A string goes on behind a backslash at the end of its line.
                let text = text.split("\\\n").map(str::trim_start).collect::<String>();
                for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                    let quoted = line.split('`').skip(1).step_by(2);
                    let told = quoted.filter(|told| told.starts_with("alekseylearn ") && !told.contains('…'));
                    commands.extend(told.map(|told| (path.clone(), filled(told))));
                }
            }
        }
    }

    fn filled(told: &str) -> String {
        let mut text = String::new();
        let mut rest = told;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { break };
            text.push_str(before);
            // What is written behind a word without a space is more of the line, or nothing.
            if !text.ends_with(|c: char| c.is_alphanumeric()) {
                text.push_str(if ["grant", "allow"].contains(&name) { "docker" } else { "x" });
            }
            rest = after;
        }
        format!("{text}{rest}")
    }

    #[test]
    fn both_spellings_of_the_drivers_work() {
        for line in [
            "alekseylearn fit a.py --build-driver x --train-driver y --config.a=b --config.c d",
            "alekseylearn fit a.py --build_driver x --train_driver y -c a=b --config.c=d",
        ] {
            let arguments = Arguments::read(line.split(' ').map(OsString::from).collect()).unwrap();
            let Command::Fit(fit) = arguments.command else { panic!("{line}") };
            assert_eq!(
                (fit.training.build_driver.as_deref(), fit.training.train_driver.as_deref()),
                (Some("x"), Some("y"))
            );
            let options: Vec<_> =
                fit.training.options.iter().map(|option| (&*option.key, &*option.value)).collect();
            assert_eq!(options, [("a", "b"), ("c", "d")]);
        }
    }
}
