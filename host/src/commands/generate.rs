//! The reference and the man pages, from the command line itself: for `cargo xtask docs` and `cargo xtask release`.

use std::{collections::BTreeMap, fmt::Write};

use clap::{Arg, Command, CommandFactory};
use serde_json::json;

use crate::{
    error::{Context as _, Result},
    job::Context,
};

/// Generate documentation of the command line
///
/// For the project's own chores. The form of the output may change.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[arg(value_name = "WHAT")]
    what: What,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// Man pages, one per command
    Man,
    /// The sections of docs/reference/commands.md
    Reference,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let mut root = super::Arguments::command().disable_help_subcommand(true);
    root.build();
    let mut pages = BTreeMap::new();
    match arguments.what {
        What::Man => {
            for command in visible(&root) {
                let name = command.get_display_name().unwrap_or_else(|| command.get_name());
                let mut page = Vec::new();
                clap_mangen::Man::new(command.clone())
                    .source(concat!("alekseylearn ", env!("CARGO_PKG_VERSION")))
                    .render(&mut page)
                    .context(|| format!("cannot make the man page of {name}"))?;
                pages.insert(format!("{name}.1"), String::from_utf8_lossy(&page).into_owned());
            }
        }
        What::Reference => {
            pages.insert("commands.md".to_owned(), reference(&root));
        }
    }
    let text: Vec<&str> = pages.values().map(String::as_str).collect();
    context.ui.result(text.join("\n").trim_end(), json!({ "pages": pages }));
    Ok(())
}

/// A command and all below it that the help lists.
fn visible(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    [command].into_iter().chain(below.flat_map(visible)).collect()
}

/// One section of Markdown per command.
fn reference(root: &Command) -> String {
    let mut text = String::from("## Options of all commands\n");
    table(&mut text, root);
    for command in visible(root).into_iter().skip(1) {
        section(&mut text, command);
    }
    text
}

fn section(text: &mut String, command: &Command) {
    let path = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let (_, name) = path.split_once(' ').unwrap_or(("", path));
    let level = "#".repeat(name.split(' ').count() + 1);
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    // The first line is the summary, without a full stop.
    let about = match about.split_once('\n') {
        Some((summary, rest)) => format!("{summary}.\n{rest}"),
        None => format!("{about}."),
    };
    let usage = command.clone().render_usage();
    write!(text, "\n{level} {name}\n\n{about}\n\n```text\n{usage}\n```\n").expect("writing to a string");
    table(text, command);
    if let Some(examples) = command.get_after_long_help() {
        write!(text, "\n```text\n{examples}\n```\n").expect("writing to a string");
    }
}

/// The arguments and options of one command. Those of all commands are in the table of the program itself.
fn table(text: &mut String, command: &Command) {
    let is_root = !command.get_bin_name().unwrap_or_default().contains(' ');
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && argument.is_global_set() == is_root)
        .filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version"))
        .collect();
    if arguments.is_empty() {
        return;
    }
    text.push_str("\n| argument | meaning |\n|---|---|\n");
    for argument in arguments {
        let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
        let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string);
        let mut help = help.unwrap_or_default().replace("\n\n", " ").replace('\n', " ");
        let takes_value = argument.get_action().takes_values();
        let choices: Vec<String> = argument
            .get_possible_values()
            .iter()
            .filter(|choice| takes_value && !choice.is_hide_set())
            .map(|choice| format!("`{}`", choice.get_name()))
            .collect();
        if !choices.is_empty() {
            write!(help, ": {}", choices.join(", ")).expect("writing to a string");
        }
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if takes_value && !defaults.is_empty() {
            write!(help, " (default: `{}`)", defaults.join(" ")).expect("writing to a string");
        }
        let row = format!("| `{short}{argument}` | {} |\n", help.replace('<', "\\<"));
        text.push_str(&row);
    }
}
