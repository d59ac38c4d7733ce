use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{Command, fit};
use crate::{
    config::{Assignment, Defaults},
    disk::Folder,
    error::{Error, Kind, Result},
    job::{self, Context},
    shell,
};

/// Train a bundled example on this machine
///
/// Writes a small scikit-learn project to a new folder, trains it on this machine, and downloads the model. Costs nothing
/// and needs no account. Without a Docker engine, it trains in a virtual environment.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Folder of the example; created if it is missing
    #[arg(long, value_name = "DIR", default_value = "alekseylearn-demo")]
    folder: PathBuf,

    /// Set a driver's option; also written --config.KEY=VALUE or --config.KEY VALUE
    #[arg(short = 'c', long = "config", value_name = "KEY=VALUE")]
    options: Vec<Assignment>,
}

const EXAMPLES: &str = "\
Examples:
  alekseylearn demo

  In another folder, with another image to start from:
    alekseylearn demo --folder digits --config.base_image=python:3.12-slim

The example predicts handwritten digits. Change its script, and train it again with the command that is shown.";

const SCRIPT: &str = "train.py";
/// The folder of the model.
const OUT: &str = "out";

/// The example, which is also `examples/digits` of the repository.
const FILES: [(&str, &str); 2] = [
    (SCRIPT, include_str!("../../demo/train.py")),
    ("requirements.txt", include_str!("../../demo/requirements.txt")),
];

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let driver = driver_of_this_machine(context).await;
    write(context, &arguments.folder)?;
    let words = words(arguments, driver, &Defaults::read(&context.environment)?);
    let command = shell::command(words.iter().map(String::as_str));
    context.ui.stage(&format!("Running {command}"));
    let parsed = super::Arguments::read(words.into_iter().map(OsString::from).collect());
    let Ok(super::Arguments { command: Command::Fit(fit), .. }) = parsed else {
        return Err(Error::failed(format!("cannot parse {command}")).hint("report this as a bug"));
    };
    fit::train(context, fit, &[command]).await
}

/// The driver that trains on this machine with what it has.
async fn driver_of_this_machine(context: &Context) -> &'static str {
    match context.services.docker().await {
        Ok(_) => "local",
        Err(error) => {
            context.ui.detail(&error.chain());
            context.ui.stage("There is no Docker engine: training in a virtual environment instead");
            "venv"
        }
    }
}

/// Writes the example. An unchanged one is used again.
fn write(context: &Context, folder: &Path) -> Result<()> {
    let place = context.environment.resolve(folder);
    let shown = folder.display();
    let cannot_write = |error| {
        Error::failed(format!("cannot write to {shown}"))
            .hint("name another folder with --folder")
            .source(error)
    };
    let root = Folder::make(&place).map_err(cannot_write)?;
    let files = FILES.map(|(name, text)| (PathBuf::from(name), text.as_bytes()));
    let is_ours =
        |name: &std::ffi::OsStr| name == OUT || files.iter().any(|(file, _)| file.as_os_str() == name);
    // All of the folder would be sent to the image.
    if root.entries().map_err(cannot_write)?.iter().any(|entry| !is_ours(&entry.name)) {
        return Err(Error::new(Kind::Conflict, format!("the folder {shown} is not empty"))
            .hint("nothing was written; name another folder with --folder"));
    }
    if let Some(changed) = job::in_the_way(&root, &files) {
        return Err(Error::new(Kind::Conflict, format!("{} was changed", changed.display())).hint(format!(
            "run `alekseylearn fit {}` to train it, or name another folder with --folder",
            changed.display()
        )));
    }
    job::write_files(&root, &files)?;
    context.ui.stage(&format!("Wrote {shown}/train.py and {shown}/requirements.txt"));
    Ok(())
}

/// The command line that trains the example. It names the drivers only if the user's defaults are others.
fn words(arguments: &Arguments, driver: &str, defaults: &Defaults) -> Vec<String> {
    let path = |name: &str| arguments.folder.join(name).display().to_string();
    let mut words = vec!["alekseylearn".to_owned(), "fit".to_owned(), path(SCRIPT)];
    // Without a container, nothing is built.
    let build = (driver == job::DEFAULT_DRIVER).then_some(("--build-driver", defaults.build_driver()));
    for (option, default) in build.into_iter().chain([("--train-driver", defaults.train_driver())]) {
        if default.unwrap_or(job::DEFAULT_DRIVER) != driver {
            words.extend([option.to_owned(), driver.to_owned()]);
        }
    }
    words.extend(arguments.options.iter().map(|option| format!("--config.{}={}", option.key, option.value)));
    words.extend(["--fetch".to_owned(), path(OUT)]);
    words
}
