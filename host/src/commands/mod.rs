//! One file per command: its arguments, whose doc comments are the help, and its code.

mod check;
mod clean;
mod completions;
mod copy;
mod demo;
mod doctor;
mod driver;
mod fetch;
mod fit;
mod generate;
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

use std::{convert::Infallible, ffi::OsString, sync::Arc};

use clap::{Parser, Subcommand, error::ErrorKind};

pub use completions::complete;
pub use misplaced::misplaced;

use crate::{
    config::{driver_name, spell_out},
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

/// Output options
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
struct StyleArguments {
    /// Print one JSON object per line instead of text
    #[arg(long, global = true)]
    json: bool,

    /// Print more details
    #[arg(short, long, global = true)]
    verbose: bool,

    /// Print only results, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// When to use colours; `auto` uses them on a terminal unless NO_COLOR is set
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
    Demo(demo::Arguments),
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
    #[command(hide = true)]
    Generate(generate::Arguments),
}

impl Arguments {
    /// Parses a command line, including `--config.KEY=VALUE`.
    ///
    /// # Errors
    /// The command line is wrong, or requests help.
    pub fn read(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(spell_out(arguments))
    }

    /// Whether the output is JSON.
    pub fn wants_json(&self) -> bool {
        self.style.json
    }

    /// The output style that the user wants.
    pub fn style(&self, environment: &Environment) -> Style {
        // `logs --quiet` still prints the log.
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

    /// Runs the command.
    ///
    /// # Errors
    /// The command fails.
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
            Self::Demo(arguments) => demo::run(context, &arguments).await,
            Self::Init(arguments) => init::run(context, arguments).await,
            Self::Copy(arguments) => copy::run(context, &arguments),
            Self::Doctor(arguments) => doctor::run(context, &arguments).await,
            Self::Clean(arguments) => clean::run(context, &arguments).await,
            Self::Driver(arguments) => driver::run(context, &arguments).await,
            Self::Plugin(arguments) => plugin::run(context, arguments).await,
            Self::Trust(arguments) => trust::run(context, &arguments),
            Self::Completions(arguments) => completions::run(context, &arguments),
            Self::Schema(arguments) => schema::run(context, &arguments),
            Self::Generate(arguments) => generate::run(context, &arguments),
        }
    }
}

/// Whether a command line that cannot be parsed requests JSON.
pub fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// The error for a wrong command line, in clap's words: the message, and as a hint its tips and the usage.
pub fn misspelled(error: &clap::Error) -> Error {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::invalid("no command given").hint("add --help to list the commands");
    }
    let text = error.render().to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let parts: Vec<&str> = rest.split("\n\n").map(str::trim).filter(|part| !part.is_empty()).collect();
    let lines = message.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    Error::invalid(lines.trim_start_matches("error: ")).hint(parts.join("; "))
}

/// Runs work that Ctrl-C may end at any point; `hint` says in what state that leaves things.
async fn interruptible<T>(work: impl Future<Output = Result<T>>, hint: &str) -> Result<T> {
    tokio::select! {
        biased;
        () = interrupted() => Err(Error::new(Kind::Interrupted, "interrupted").hint(hint)),
        done = work => done,
    }
}

/// Parses the name of a driver.
fn driver(typed: &str) -> std::result::Result<String, Infallible> {
    Ok(driver_name(typed).to_owned())
}

fn exit_codes() -> String {
    let lines = Kind::ALL.iter().map(|kind| format!("  {:>3}  {}", kind.exit_code(), kind.meaning()));
    let lines: Vec<String> = ["    0  success".to_owned()].into_iter().chain(lines).collect();
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

    /// Every command that a message shows exists, with its options.
    #[test]
    fn every_command_in_a_message_is_valid() {
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
        assert!(commands.len() > 30, "found only {}", commands.len());
    }

    /// Collects the commands of this program in backticks from the sources, with values for the placeholders.
    fn collect(folder: &Path, commands: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, commands);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // A backslash at the end of a line continues a string.
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
            // A placeholder right after a word continues the line, or is empty.
            if !text.ends_with(|c: char| c.is_alphanumeric()) {
                text.push_str(if ["grant", "allow"].contains(&name) { "docker" } else { "x" });
            }
            rest = after;
        }
        format!("{text}{rest}")
    }

    /// Every command that the documentation or the help shows exists, with its arguments and options.
    #[test]
    fn every_command_in_the_documentation_is_valid() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut texts = vec![("help".to_owned(), examples(&Arguments::command()))];
        let mut folders = vec![root.join("docs")];
        let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("SECURITY.md")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path if path.extension().is_some_and(|extension| extension == "md") => pages.push(path),
                    _ => {}
                }
            }
        }
        texts.extend(
            pages.iter().map(|page| (page.display().to_string(), std::fs::read_to_string(page).unwrap())),
        );
        let (mut found, mut wrong) = (0, Vec::new());
        for (page, text) in texts {
            for line in command_lines(&text) {
                found += 1;
                let error = Arguments::read(words(&line).into_iter().map(OsString::from).collect()).err();
                if let Some(error) = error.filter(|error| {
                    !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
                }) {
                    wrong.push(format!("{page}: `{line}`: {error}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(found > 150, "found only {found}");
    }

    /// The text after the options, of a command and all below it.
    fn examples(command: &clap::Command) -> String {
        let own = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        let below: Vec<String> = command.get_subcommands().map(examples).collect();
        format!("{own}\n{}\n", below.join("\n"))
    }

    /// The lines of a text that are commands of this program, in full: those in blocks of code, and in the examples of
    /// the help.
    fn command_lines(text: &str) -> Vec<String> {
        let text = text.split("\\\n").map(str::trim_start).collect::<String>();
        let mut in_block = false;
        let lines = text.lines().filter(|line| {
            in_block ^= line.trim_start().starts_with("```");
            in_block || line.starts_with("  ")
        });
        let commands = lines.map(|line| line.trim_start().trim_start_matches("$ "));
        // `...` stands for more options, and `<` for what a usage line leaves open.
        let is_command =
            |line: &&str| line.starts_with("alekseylearn ") && !line.contains(" ... ") && !line.contains('<');
        commands.filter(is_command).map(str::to_owned).collect()
    }

    /// The words of a command line, as a shell splits it, up to a comment, a pipe or a redirection.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        let (mut word, mut quote) = (None::<String>, None);
        for c in line.chars().chain([' ']) {
            match (c, quote) {
                (c, Some(open)) if c == open => quote = None,
                (c, Some(_)) => word.get_or_insert_default().push(c),
                ('\'' | '"', None) => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                ('#' | '|' | '>', None) if word.is_none() => break,
                (' ', None) => words.extend(word.take()),
                (c, None) => word.get_or_insert_default().push(c),
            }
        }
        words
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
