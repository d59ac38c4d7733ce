//! What is found out before anything is built or spent: by the train driver of its service, and by the host of this
//! machine.

use std::path::PathBuf;

use super::{
    Context, Fit, InEngine, Plan,
    findings::find,
    plan::{ImagePlan, plan_of, touches},
    task::open,
};
use crate::{
    capability::transfer::room,
    config::Designation,
    error::{Error, Kind, Result},
    plugin::Finding,
    ui::bytes,
};

/// What a build needs beside the image itself: its context, and layers that are about to be made.
const SPARE: u64 = 1 << 30;

/// Everything that was found.
#[derive(Debug)]
pub struct Checked {
    /// The train driver's name.
    pub train_driver: String,
    /// What speaks for the run, and against it.
    pub findings: Vec<Finding>,
    /// What the run may touch because an option names it, and who named it.
    pub touches: Vec<Designation>,
    /// What would be done; none where something keeps even that from being told.
    pub plan: Option<Plan>,
    /// Why something could not be looked at: a problem of another kind than those that a look finds.
    pub error: Option<Error>,
}

/// Looks at everything that a run needs, whatever the outcome. Builds and spends nothing.
///
/// # Errors
/// The folder or an option is wrong, so that nothing can be looked at.
pub async fn check(context: &Context, fit: &Fit) -> Result<Checked> {
    let opened = open(context, fit).await?;
    let train_driver = opened.trainer.name().to_owned();
    let touches = touches(&opened.build_options, &opened.train_options);
    let found = find(context, &opened.trainer, &opened.training, &opened.train_options).await;
    let (mut findings, mut broken) = match found {
        Ok(findings) => (findings, None),
        Err(error) if error.kind() == Kind::Plugin => return Err(error),
        // Without credentials nothing more can be asked.
        Err(error) => (vec![problem(&error)], Some(error)),
    };
    let plan = match plan_of(context, opened, Vec::new()).await {
        Ok(plan) => Some(plan),
        Err(error) if error.kind() == Kind::Plugin => return Err(error),
        Err(_) if findings.iter().any(Finding::is_problem) => None,
        Err(error) => {
            findings.push(problem(&error));
            broken = Some(error);
            None
        }
    };
    if let Some(image) = plan.as_ref().and_then(|plan| plan.image.as_ref()) {
        findings.extend(of_machine(context, image).await);
    }
    Ok(Checked { train_driver, touches, findings, plan, error: broken })
}

fn problem(error: &Error) -> Finding {
    let fix = error.hint_text().unwrap_or("correct what the message names");
    Finding::Problem { message: error.chain().replace('\n', " "), fix: fix.to_owned() }
}

/// What the build needs of this machine.
async fn of_machine(context: &Context, image: &ImagePlan) -> Vec<Finding> {
    if let InEngine::Unknown(why) = &image.engine {
        let fix = "see `alekseylearn doctor`: the image is built by Docker".to_owned();
        return vec![Finding::Problem { message: why.replace('\n', " "), fix }];
    }
    let mut findings = vec![Finding::Note(match image.estimate {
        Some(size) => format!("the image will have about {}, and more where more is installed", bytes(size)),
        None => "how large the image will be is not known: its base image is not here yet".to_owned(),
    })];
    let about = match context.services.docker().await {
        Ok(engine) => engine.about().await,
        Err(error) => Err(error),
    };
    let about = match about {
        Ok(about) => about,
        Err(error) => return vec![problem(&error)],
    };
    let wanted = &image.context.platform;
    if about.platform != *wanted {
        findings.push(Finding::Warning {
            message: format!("this engine is {}, and the image is for {wanted}: it is built by emulation", about.platform),
            fix: "expect a slow build, and set up QEMU (`docker run --privileged tonistiigi/binfmt --install all`)".into(),
        });
    }
    findings.extend(about.folder.and_then(|folder| disk(folder, image)));
    findings
}

fn disk(folder: PathBuf, image: &ImagePlan) -> Option<Finding> {
    if matches!(image.engine, InEngine::Ready) {
        return None;
    }
    let (room, needed) = (room(&folder)?, image.estimate.unwrap_or(0) + SPARE);
    let shown = folder.display();
    Some(match room < needed {
        true => Finding::Warning {
            message: format!(
                "the disk of {shown} has {} left, and the build may need {}",
                bytes(room),
                bytes(needed)
            ),
            fix: "free some of it (`alekseylearn clean --images`, `docker system prune`)".into(),
        },
        false => Finding::Note(format!("the disk of {shown} has {} left", bytes(room))),
    })
}
