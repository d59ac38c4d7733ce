//! Checks a run before anything is built or spent: the train driver checks its service, and the host this machine.

use std::path::{Path, PathBuf};

use super::{
    Context, Fit, InEngine, Plan,
    findings::find,
    plan::{ImagePlan, plan_of, touches},
    task::open,
};
use crate::{
    capability::transfer::free_space,
    config::Designation,
    error::{Error, Kind, Result},
    plugin::Finding,
    ui::bytes,
};

/// Disk space in bytes that a build needs besides the image: for its context, and for layers in the making.
const SPARE: u64 = 1 << 30;

/// The result of a check.
#[derive(Debug)]
pub struct Checked {
    /// The train driver's name.
    pub train_driver: String,
    /// The findings.
    pub findings: Vec<Finding>,
    /// What the run may access because an option names it, and who set that option.
    pub touches: Vec<Designation>,
    /// What the run would do; `None` if a problem prevents the plan.
    pub plan: Option<Plan>,
    /// The error that kept something from being checked.
    pub error: Option<Error>,
}

/// Checks everything that a run needs, even after a problem was found. Builds and spends nothing.
///
/// # Errors
/// The project or an option is invalid, so that nothing can be checked.
pub async fn check(context: &Context, fit: &Fit) -> Result<Checked> {
    let opened = open(context, fit).await?;
    let train_driver = opened.trainer.name().to_owned();
    let touches = touches(&opened.build_options, &opened.train_options);
    let found = find(context, &opened.trainer, &opened.training, &opened.train_options).await;
    let (mut findings, mut broken) = match found {
        Ok(findings) => (findings, None),
        Err(error) if error.kind() == Kind::Plugin => return Err(error),
        // Without credentials, nothing more can be checked.
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
    let fix = error.hint_text().unwrap_or("fix what the message names");
    Finding::Problem { message: error.chain().replace('\n', " "), fix: fix.to_owned() }
}

/// Checks this machine for the build.
async fn of_machine(context: &Context, image: &ImagePlan) -> Vec<Finding> {
    if let InEngine::Unknown(why) = &image.engine {
        let fix =
            "start Docker (`alekseylearn doctor` checks it), or build without it: --build-driver daemonless"
                .to_owned();
        return vec![Finding::Problem { message: why.replace('\n', " "), fix }];
    }
    if let InEngine::NotNeeded(_) = &image.engine {
        return disk_note(&context.environment.cache).into_iter().collect();
    }
    let mut findings = vec![Finding::Note(match image.estimate {
        Some(size) => format!("the image will have about {}, plus newly installed packages", bytes(size)),
        None => "the size of the image is unknown: its base image has not been pulled yet".to_owned(),
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
            message: format!(
                "the Docker engine is {}, but the image is for {wanted}: emulation is needed",
                about.platform
            ),
            fix: "expect a slow build, and set up QEMU (`docker run --privileged tonistiigi/binfmt \
                  --install all`)"
                .into(),
        });
    }
    findings.extend(about.folder.and_then(|folder| disk(folder, image)));
    findings
}

/// The free space for the layers of an image that is assembled on this machine.
fn disk_note(folder: &Path) -> Option<Finding> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let free = free_space(there)?;
    let shown = folder.display();
    Some(if free < SPARE {
        Finding::Warning {
            message: format!("the disk of {shown} has {} free, but layers are made there", bytes(free)),
            fix: "free some disk space, or set XDG_CACHE_HOME to a folder on another disk".into(),
        }
    } else {
        Finding::Note(format!("the disk of {shown} has {} free", bytes(free)))
    })
}

fn disk(folder: PathBuf, image: &ImagePlan) -> Option<Finding> {
    if matches!(image.engine, InEngine::SubmitRequest) {
        return None;
    }
    let (free, needed) = (free_space(&folder)?, image.estimate.unwrap_or(0) + SPARE);
    let shown = folder.display();
    Some(if free < needed {
        Finding::Warning {
            message: format!(
                "the disk of {shown} has {} free, but the build may need {}",
                bytes(free),
                bytes(needed)
            ),
            fix: "free some disk space (`alekseylearn clean --images`, `docker system prune`)".into(),
        }
    } else {
        Finding::Note(format!("the disk of {shown} has {} free", bytes(free)))
    })
}
