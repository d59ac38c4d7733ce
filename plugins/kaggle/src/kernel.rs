//! The kernel that runs a job: the request that creates it, and the checks of that request before it is sent.

use alekseylearn_sdk::{Error, Finding, Training, Values, credentials, progress};
use serde_json::{Map, Value, json};

use crate::{
    api::{self, API},
    name,
    options::list,
    source,
};

/// Retired accelerators, and what Kaggle silently uses instead.
const RETIRED: [(&str, &str); 5] = [
    ("nvidiateslap100", "Kaggle uses the default GPU instead, NvidiaTeslaT4"),
    ("tpuv38", "Kaggle uses the default TPU instead, TpuV5E8"),
    ("tpu1vmv38", "Kaggle uses the default TPU instead, TpuV5E8"),
    ("tpuv232", "Kaggle runs the job on a CPU, without an accelerator"),
    ("tpuv2256", "Kaggle runs the job on a CPU, without an accelerator"),
];
/// How many versions of a kernel are searched for a job.
const RECENT_VERSIONS: u64 = 5;

/// The Kaggle user: from the option, else from the credentials.
pub(crate) fn user(options: &Values) -> Result<String, Error> {
    if let Some(user) = options.text("username") {
        return Ok(user);
    }
    credentials::user(API)?.ok_or_else(|| {
        Error::invalid("cannot determine the Kaggle user from the credentials").hint("set --config.username")
    })
}

/// One version of a kernel, as `user/slug/3`. The number is missing if the service did not return it.
pub(crate) struct Kernel {
    pub(crate) user: String,
    pub(crate) slug: String,
    pub(crate) version: Option<u64>,
}

impl Kernel {
    pub(crate) fn of_reference(reference: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = reference.split('/').collect();
        let (user, slug, version) = match parts[..] {
            [user, slug] => (user, slug, None),
            [user, slug, version] => (user, slug, version.parse().ok()),
            _ => return Err(Error::invalid(format!("`{reference}` is not a kernel such as user/name/3"))),
        };
        Ok(Self { user: user.to_owned(), slug: slug.to_owned(), version })
    }

    pub(crate) fn reference(&self) -> String {
        match self.version {
            Some(version) => format!("{}/{}/{version}", self.user, self.slug),
            None => format!("{}/{}", self.user, self.slug),
        }
    }

    /// The URL of its page.
    pub(crate) fn page(&self) -> String {
        format!("https://www.kaggle.com/code/{}/{}", self.user, self.slug)
    }

    /// The label of a version; the API does not accept a bare number.
    pub(crate) fn label(&self) -> Option<String> {
        self.version.map(|version| format!("v{version}"))
    }

    /// The members that name it in a request.
    pub(crate) fn named(&self) -> Map<String, Value> {
        let mut named = Map::new();
        named.insert("userName".into(), self.user.clone().into());
        named.insert("kernelSlug".into(), self.slug.clone().into());
        if let Some(label) = self.label() {
            named.insert("versionLabel".into(), label.into());
        }
        named
    }
}

/// The request that saves and runs the kernel, with its source and the project's dataset.
pub(crate) fn request(training: &Training, user: &str, text: &str, dataset: Option<&str>) -> Value {
    let options = training.options();
    let title = name::title(&options, &training.tag());
    let mut datasets = list(&options, "dataset_sources");
    datasets.extend(dataset.map(str::to_owned));
    let mut request = json!({
        "slug": format!("{user}/{}", name::slug(&title)),
        "newTitle": title,
        "text": text,
        "language": "python",
        "kernelType": if training.is_notebook() { "notebook" } else { "script" },
        "isPrivate": options.boolean("private"),
        // Kaggle's client sends the same if machineShape is set.
        "enableGpu": false,
        "enableTpu": false,
        "enableInternet": options.boolean("internet"),
        "sessionTimeoutSeconds": options.integer("timeout"),
        "machineShape": options.text("machine_shape"),
        "dockerImage": options.text("docker_image"),
        "dockerImagePinningType": options.text("docker_image_pinning"),
        "datasetDataSources": datasets,
        "kernelDataSources": list(&options, "kernel_sources"),
        "competitionDataSources": list(&options, "competition_sources"),
        "modelDataSources": list(&options, "model_sources"),
        "categoryIds": list(&options, "keywords"),
    });
    if let Some(members) = request.as_object_mut() {
        members.retain(|_, value| !value.is_null() && *value != json!([]));
    }
    request
}

/// Saves and runs the kernel.
pub(crate) fn save(user: &str, request: &Value) -> Result<Kernel, Error> {
    let answer = api::act("kernels.KernelsApiService/SaveKernel", request)?;
    if let Some(error) = answer["error"].as_str().filter(|error| !error.is_empty()) {
        return Err(refused(error));
    }
    for (member, what) in [
        ("invalidDatasetSources", "dataset_sources"),
        ("invalidKernelSources", "kernel_sources"),
        ("invalidCompetitionSources", "competition_sources"),
        ("invalidModelSources", "model_sources"),
        ("invalidTags", "keywords"),
    ] {
        let dropped: Vec<&str> =
            answer[member].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !dropped.is_empty() {
            progress::warning(&format!(
                "Kaggle ignored unknown values of --config.{what}: {}",
                dropped.join(", ")
            ));
        }
    }
    // The service has the last word on the address: `/code/user/slug`.
    let told: Vec<&str> = answer["ref"].as_str().unwrap_or_default().rsplit('/').take(2).collect();
    let asked = request["slug"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let (user, slug) = match told[..] {
        [slug, user] if !slug.is_empty() && !user.is_empty() => (user, slug),
        _ => (user, asked),
    };
    let version = answer["versionNumber"].as_u64().filter(|version| *version > 0);
    Ok(Kernel { user: user.to_owned(), slug: slug.to_owned(), version })
}

/// An error in a response whose status is a success.
fn refused(message: &str) -> Error {
    let text = message.to_lowercase();
    let error = format!("Kaggle rejected the request: {}", message.trim_end_matches('.'));
    if ["maximum", "quota", "limit", "too many"].iter().any(|word| text.contains(word)) {
        Error::quota(error).hint("wait for other sessions to end, or stop one at https://www.kaggle.com/code")
    } else {
        Error::invalid(error).hint("fix what the message names, and try again")
    }
}

/// Finds the version that runs this job, if the response to its submission was lost.
pub(crate) fn find(user: &str, slug: &str, job_name: &str) -> Result<Option<Kernel>, Error> {
    let mark = source::mark(job_name);
    let mut kernel = Kernel { user: user.to_owned(), slug: slug.to_owned(), version: None };
    for _ in 0..RECENT_VERSIONS {
        let asked = Value::Object(kernel.named());
        let answer = match api::ask("kernels.KernelsApiService/GetKernel", &asked) {
            Ok(answer) => answer,
            // Kaggle answers either of these for a missing kernel.
            Err(Error::NotFound(_) | Error::Denied(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let version = kernel.version.or(answer["metadata"]["currentVersionNumber"].as_u64());
        if answer["blob"]["source"].as_str().is_some_and(|text| text.contains(&mark)) {
            return Ok(Some(Kernel { version, ..kernel }));
        }
        match version {
            Some(version) if version > 1 => kernel.version = Some(version - 1),
            _ => break,
        }
    }
    Ok(None)
}

/// Values that Kaggle would reject or treat in an unexpected way.
pub(crate) fn findings(training: &Training) -> Vec<Finding> {
    let options = training.options();
    let mut findings = Vec::new();
    if let Some((message, fix)) = name::problem(&name::title(&options, &training.tag())) {
        findings.push(Finding::problem(&message, &fix));
    }
    let shape = options.text("machine_shape").unwrap_or_default();
    if let Some((_, instead)) = RETIRED.iter().find(|(retired, _)| *retired == shape.trim().to_lowercase()) {
        findings.push(Finding::warning(&format!("the accelerator {shape} is retired"), instead));
    }
    for (option, parts) in [
        ("dataset_sources", 2..=3),
        ("kernel_sources", 2..=3),
        ("competition_sources", 1..=1),
        ("model_sources", 4..=5),
    ] {
        for source in list(&options, option) {
            let is_name = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
            if !parts.contains(&source.split('/').count()) || !source.split('/').all(is_name) {
                findings.push(Finding::problem(
                    &format!("--config.{option}: `{source}` is not a valid name"),
                    "copy the name from the address of its page, such as user/name",
                ));
            }
        }
    }
    if let Some(dependencies) = training.dependencies() {
        let file = dependencies.file();
        if options.boolean("internet") == Some(false) && dependencies.form() == "none" {
            // Kaggle's image has the common packages, and the project lists no others.
        } else if options.boolean("internet") == Some(false) {
            findings.push(Finding::warning(
                &format!("the packages in {file} will not be installed: the session has no internet access"),
                "set --config.internet=true if Kaggle's image lacks any of them",
            ));
        } else if !runner::FORMS.contains(&dependencies.form().as_str()) {
            findings.push(Finding::problem(
                &format!("this driver cannot install from {file}"),
                "list the dependencies in a requirements.txt, and pass it with --env-file",
            ));
        }
    }
    findings
}

/// The accelerator time that is left this week. The request also shows whether the credentials are valid.
pub(crate) fn quota(options: &Values) -> Result<Vec<Finding>, Error> {
    let shape = options.text("machine_shape").unwrap_or_default().to_lowercase();
    let answer = match api::ask("kernels.KernelsApiService/GetAcceleratorQuotaStatistics", &json!({})) {
        Ok(answer) => answer,
        Err(error @ (Error::Denied(_) | Error::Unavailable(_))) => return Err(error),
        Err(error) => {
            return Ok(vec![Finding::note(&format!("cannot read the Kaggle quota: {}", error.message()))]);
        }
    };
    let mut findings = Vec::new();
    for (member, kind, is_asked_for) in
        [("gpuQuota", "GPU", shape.starts_with("nvidia")), ("tpuQuota", "TPU", shape.starts_with("tpu"))]
    {
        let hours = |name: &str| {
            let text = answer[member][name].as_str()?.trim_end_matches('s');
            text.parse::<f64>().ok().map(|seconds| seconds / 3600.0)
        };
        let Some(all) = hours("totalTimeAllowed") else { continue };
        let left = (all - hours("timeUsed").unwrap_or(0.0) - hours("timeReserved").unwrap_or(0.0)).max(0.0);
        let says = format!("{left:.1} of {all:.0} hours of {kind} are left this week");
        match is_asked_for {
            true if left <= 0.0 => {
                let day = answer["quotaRefreshTime"].as_str().unwrap_or_default();
                let day =
                    day.split('T').next().filter(|day| !day.is_empty()).unwrap_or("the end of the week");
                findings.push(Finding::problem(&says, &format!("train without a {kind}, or after {day}")));
            }
            true => progress::stage(&says),
            false => findings.push(Finding::note(&says)),
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_identifies_a_kernel() {
        for text in ["ada/models-train/3", "ada/models-train"] {
            assert_eq!(Kernel::of_reference(text).unwrap().reference(), text);
        }
        let kernel = Kernel::of_reference("ada/models-train/3").unwrap();
        assert_eq!(kernel.label().as_deref(), Some("v3"));
        assert_eq!(kernel.page(), "https://www.kaggle.com/code/ada/models-train");
        assert!(Kernel::of_reference("models-train").is_err());
    }

    #[test]
    fn limits_are_distinguished_from_invalid_requests() {
        assert!(matches!(refused("Maximum batch GPU session count of 2 reached."), Error::Quota(_)));
        assert!(matches!(refused("Invalid title."), Error::Invalid(_)));
    }
}
