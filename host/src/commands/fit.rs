use std::path::PathBuf;

use serde_json::json;

use crate::{
    config::Assignment,
    error::Result,
    job::{self, Context, Ending, Fetch, Fit, Known, Record},
    plugin::State,
};

/// Train a script or notebook
///
/// Builds an image of the training artifact, the files beside it and what its requirements.txt asks for, runs it on
/// the train driver's service, and shows its log until it ends. Ctrl-C lets the job go on by itself.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The training artifact: a script (.py) or a notebook (.ipynb)
    pub(super) path: PathBuf,

    /// Driver that builds the image; `local` where neither this nor alekseylearn.toml names one
    #[arg(long, alias = "build_driver", value_name = "NAME")]
    pub(super) build_driver: Option<String>,

    /// Driver that trains it; `local` where neither this nor alekseylearn.toml names one
    #[arg(long, alias = "train_driver", value_name = "NAME")]
    pub(super) train_driver: Option<String>,

    /// Set a driver's option; also written --config.KEY=VALUE or --config.KEY VALUE
    #[arg(short = 'c', long = "config", value_name = "KEY=VALUE")]
    pub(super) options: Vec<Assignment>,

    /// Requirements file to install from, instead of the requirements.txt beside the artifact
    #[arg(long, aliases = ["env_file", "envfile"], value_name = "FILE")]
    env_file: Option<PathBuf>,

    /// Build a new image even where nothing changed; with --fetch, replace files that are in the way
    #[arg(long)]
    overwrite: bool,

    /// Check everything and show what would be asked of the service; build and spend nothing
    #[arg(long, alias = "dry_run", conflicts_with_all = ["detach", "fetch", "overwrite"])]
    dry_run: bool,

    /// Return as soon as the job is submitted
    #[arg(long, conflicts_with = "fetch")]
    detach: bool,

    /// Bring the model into this folder once the job has completed
    #[arg(long, value_name = "DIR")]
    fetch: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  Train on this machine, as the cloud would:
    alekseylearn fit models/train.py --fetch ./out

  Train on SageMaker:
    alekseylearn fit models/train.py --train-driver sagemaker \\
        --config.output_path=s3://bucket/path --config.role_name=role

  Give the script its arguments:
    alekseylearn fit models/train.py --config.hyperparameters.epochs=10

`alekseylearn driver show NAME` lists a driver's options.";

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<()> {
    let fit = Fit {
        artifact: arguments.path.clone(),
        requirements: arguments.env_file.clone(),
        build_driver: arguments.build_driver.clone(),
        train_driver: arguments.train_driver.clone(),
        options: arguments.options.clone(),
        build_anew: arguments.overwrite,
    };
    if arguments.dry_run {
        return dry_run(context, &fit).await;
    }
    let record = Record::open(&context.environment)?;
    // A request that is under way is in the record already: an equal run asks for the same job.
    let hint = "run the same command again to go on: what was built is kept";
    let submission = super::interruptible(job::fit(context, &record, &fit), hint).await?;
    let known = &submission.known;
    if submission.resumed {
        context.ui.warning(&format!(
            "{} was submitted by an earlier run that was cut off; going on with it",
            known.job.name
        ));
    }
    if arguments.detach {
        return detached(context, known);
    }
    match job::follow(context, &record, known).await? {
        Ending::Detached => detached(context, known),
        Ending::Ended(status) => {
            job::end_of(known, &status).await?;
            completed(context, known, &arguments).await
        }
    }
}

async fn dry_run(context: &Context, fit: &Fit) -> Result<()> {
    let plan = super::interruptible(job::plan(context, fit), "nothing was built or asked for").await?;
    let request = serde_json::to_string_pretty(&plan.request).unwrap_or_default();
    context.ui.result(
        &format!("The image would be {}. {} would be asked for\n{request}", plan.tag, plan.train_driver),
        json!({ "tag": plan.tag, "train_driver": plan.train_driver, "request": plan.request }),
    );
    Ok(())
}

fn detached(context: &Context, known: &Known<'_>) -> Result<()> {
    let name = &known.job.name;
    let text = format!(
        "The job {name} goes on by itself.\n  \
         come back:  alekseylearn logs -f {name}\n  \
         its state:  alekseylearn status {name}\n  \
         end it:     alekseylearn stop {name}\n  \
         its model:  alekseylearn fetch ./out {name}"
    );
    context.ui.result(&text, json!({ "job": name, "state": "detached" }));
    Ok(())
}

async fn completed(context: &Context, known: &Known<'_>, arguments: &Arguments) -> Result<()> {
    let name = &known.job.name;
    let state = State::Completed.name();
    let Some(folder) = &arguments.fetch else {
        let text =
            format!("The job {name} completed. Bring its model home:\n  alekseylearn fetch ./out {name}");
        context.ui.result(&text, json!({ "job": name, "state": state }));
        return Ok(());
    };
    let fetch = Fetch { folder, no_extract: false, output_data: false, overwrite: arguments.overwrite };
    let hint = format!("the job {name} completed; bring its model with `alekseylearn fetch DIR {name}`");
    let fetched = super::interruptible(job::fetch(context, known, &fetch), &hint).await?;
    context.ui.result(
        &format!("The job {name} completed.\n{}", super::fetch::told(folder, &fetched)),
        json!({ "job": name, "state": state, "folder": folder, "files": fetched.files, "bytes": fetched.size }),
    );
    Ok(())
}
