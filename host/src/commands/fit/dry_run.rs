//! `fit --dry-run`: shows what would happen, in full with `--json` or `--verbose`, else shortened.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::check;
use crate::{
    error::Result,
    job::{self, Context, Fit, ImagePlan, InEngine, Plan, Push},
    plugin::Finding,
    ui::{self, bytes, duration},
};

/// The number of files, the largest first, and the characters of an instruction that are shown without --verbose.
const FILES: usize = 10;
const CHARACTERS: usize = 68;
/// The characters of a text in a request that are shown without --verbose.
const MAX_TEXT_LENGTH: usize = 500;

pub(super) async fn run(context: &Context, fit: &Fit) -> Result<()> {
    let nothing = "nothing was built or submitted";
    let plan = super::super::interruptible(job::plan(context, fit), nothing).await?;
    context.ui.result(&told(context, &plan), data(&plan));
    Ok(())
}

/// Shortens long texts, such as a whole program.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().count() > MAX_TEXT_LENGTH => {
            let start: String = text.chars().take(MAX_TEXT_LENGTH).collect();
            *text = format!("{start}… ({} in total: -v shows it)", bytes(text.len() as u64));
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}

fn told(context: &Context, plan: &Plan) -> String {
    let verbose = context.ui.is_verbose();
    let mut parts = Vec::new();
    if !plan.touches.is_empty() {
        parts.push(check::touches(context, &plan.touches));
    }
    match &plan.image {
        None => parts.push(format!("{} needs no image.", plan.train_driver)),
        Some(image) => {
            parts.push(
                [fate(plan, image), destination(image)].map(|line| context.ui.folded(&line, 2)).join("\n"),
            );
            parts.push(dockerfile(plan, image));
            parts.push(files(image, verbose));
            parts.push(layers(image, verbose));
        }
    }
    if !plan.arguments.is_empty() {
        parts.push(format!("The script is called with {}", job::typed(&plan.arguments)));
    }
    if !plan.secrets.is_empty() {
        parts.push(format!("The script receives the secrets {}", plan.secrets.join(", ")));
    }
    // Problems and warnings were already reported.
    let cost = plan.findings.iter().find(|finding| matches!(finding, Finding::Cost { .. }));
    parts.extend(cost.map(|cost| ui::lines([check::line(cost)])));
    let mut request = plan.request.clone();
    if !verbose {
        shorten(&mut request);
    }
    let request = serde_json::to_string_pretty(&request).unwrap_or_default();
    parts.push(format!("Request to {}\n{}", plan.train_driver, indented(&request)));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn fate(plan: &Plan, image: &ImagePlan) -> String {
    let (name, platform, driver) = (&image.reference, &image.context.platform, &plan.build_driver);
    match image.engine {
        InEngine::NotNeeded(true) => {
            format!("The image {name} was assembled before: nothing would be assembled.")
        }
        InEngine::NotNeeded(false) => {
            format!(
                "The image {name} would be assembled for {platform} on this machine by the driver {driver}."
            )
        }
        InEngine::SubmitRequest => format!("The image {name} already exists: nothing would be built."),
        _ => format!("The image {name} would be built for {platform} by the driver {driver}."),
    }
}

fn destination(image: &ImagePlan) -> String {
    match &image.push {
        Push::None if matches!(image.engine, InEngine::NotNeeded(_)) => {
            "It would be loaded into the Docker engine.".to_owned()
        }
        Push::None => "It stays in the Docker engine.".to_owned(),
        Push::New(address) => format!("It would be pushed to {address}, a repository that would be created."),
        Push::Needed(address) => format!("It would be pushed to {address}."),
        Push::Skipped(address) => format!("It is already in {address}: nothing would be pushed."),
    }
}

fn dockerfile(plan: &Plan, image: &ImagePlan) -> String {
    let by = match &image.context.recipe {
        Some(recipe) => recipe.dockerfile_path().display().to_string(),
        None => format!("by the driver {}", plan.build_driver),
    };
    let what = if matches!(image.engine, InEngine::NotNeeded(_)) { "Image" } else { "Dockerfile" };
    format!("{}\n{}", ui::lines([format!("{what}, {by}")]), indented(image.context.dockerfile.trim_end()))
}

/// The files of the build context: paths and sizes.
fn content(image: &ImagePlan) -> Vec<(String, u64)> {
    let context = &image.context;
    let own = context.extra.iter().map(|(path, content)| (path.clone(), content.len() as u64));
    let code = context.files.iter().map(|file| (format!("code/{}", file.path), file.size));
    own.chain(code).collect()
}

fn size(files: &[(String, u64)]) -> u64 {
    files.iter().map(|(_, size)| size).sum()
}

fn files(image: &ImagePlan, verbose: bool) -> String {
    let mut files = content(image);
    let mut lines = vec![format!("Build context: {} files, {}", files.len(), bytes(size(&files)))];
    let more = files.len().saturating_sub(FILES);
    if !verbose && more > 0 {
        files.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        files.truncate(FILES);
    }
    lines.extend(files.iter().map(|(path, size)| format!("  {:>10}  {path}", bytes(*size))));
    if !verbose && more > 0 {
        lines.push(format!("  and {more} smaller files: -v lists them"));
    }
    ui::lines(lines)
}

fn layers(image: &ImagePlan, verbose: bool) -> String {
    let (before, steps) = match &image.engine {
        InEngine::SubmitRequest | InEngine::NotNeeded(_) => return String::new(),
        InEngine::Unknown(why) => {
            return ui::lines(["Layers", &format!("  unknown which would be reused: {why}")]);
        }
        InEngine::Steps { before: None, .. } => {
            return "Layers\n  nothing to compare with: the engine has no earlier image of this tag"
                .to_owned();
        }
        InEngine::Steps { before: Some(before), steps } => (before, steps),
    };
    let (name, created) = before;
    let age = Timestamp::now().as_second().saturating_sub(*created);
    let age = duration(Duration::from_secs(age.try_into().unwrap_or(0)));
    let mut lines = vec![format!("Layers, compared with {name} of {age} ago")];
    lines.extend(steps.iter().map(|(step, same)| {
        let state = if *same { "same" } else { "new" };
        let mut shown: String = step.instruction.clone();
        if !verbose && shown.chars().count() > CHARACTERS {
            shown = shown.chars().take(CHARACTERS - 1).chain(['…']).collect();
        }
        format!("  {state:4}  {shown}")
    }));
    lines.push(
        "  The same ones are reused while the base image and the builder's cache are unchanged.".into(),
    );
    ui::lines(lines)
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("  {line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn data(plan: &Plan) -> Value {
    json!({
        "tag": plan.tag,
        "build_driver": plan.build_driver,
        "train_driver": plan.train_driver,
        "root": plan.root,
        "start": plan.start,
        "arguments": plan.arguments,
        "secrets": plan.secrets,
        "touches": check::touches_data(&plan.touches),
        "findings": check::findings(&plan.findings),
        "cost": check::cost(&plan.findings),
        "request": plan.request,
        "image": plan.image.as_ref().map(image_data),
    })
}

fn image_data(image: &ImagePlan) -> Value {
    let files = content(image);
    let (state, why, before, layers) = match &image.engine {
        InEngine::Unknown(why) => ("unknown", Some(why), None, None),
        InEngine::SubmitRequest => ("ready", None, None, None),
        InEngine::NotNeeded(_) => ("not-needed", None, None, None),
        InEngine::Steps { before, steps } => {
            let name = before.as_ref().map(|(name, _)| name);
            ("missing", None, name, Some(steps))
        }
    };
    let layers = layers.map(|steps| {
        let layer =
            |(step, same): &(job::Step, bool)| json!({ "instruction": step.instruction, "same": same });
        steps.iter().map(layer).collect::<Vec<_>>()
    });
    let (push, repository) = match &image.push {
        Push::None => ("none", None),
        Push::New(address) => ("new-repository", Some(address)),
        Push::Needed(address) => ("needed", Some(address)),
        Push::Skipped(address) => ("skipped", Some(address)),
    };
    json!({
        "reference": image.reference,
        "platform": image.context.platform,
        "dockerfile": image.context.dockerfile,
        "dockerfile_path": image.context.recipe.as_ref().map(|recipe| recipe.dockerfile_path()),
        "files": files.iter().map(|(path, size)| json!({ "path": path, "bytes": size })).collect::<Vec<_>>(),
        "bytes": size(&files),
        "estimated_bytes": image.estimate,
        "in_engine": state,
        "reason": why,
        "before": before,
        "layers": layers,
        "push": push,
        "repository": repository,
    })
}
