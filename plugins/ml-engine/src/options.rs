//! The driver's options, and the checks of their values.

use alekseylearn_sdk::{Error, Finding, OptionSpec, Values};

/// Default of `timeout`: four hours. The service's own default is a week.
const USUAL_TIMEOUT: &str = "14400";
/// Accelerators in the discovery document of Vertex AI's API.
const ACCELERATORS: [&str; 18] = [
    "NVIDIA_TESLA_K80",
    "NVIDIA_TESLA_P100",
    "NVIDIA_TESLA_V100",
    "NVIDIA_TESLA_P4",
    "NVIDIA_TESLA_T4",
    "NVIDIA_TESLA_A100",
    "NVIDIA_A100_80GB",
    "NVIDIA_L4",
    "NVIDIA_H100_80GB",
    "NVIDIA_H100_MEGA_80GB",
    "NVIDIA_H200_141GB",
    "NVIDIA_B200",
    "NVIDIA_GB200",
    "NVIDIA_RTX_PRO_6000",
    "TPU_V2",
    "TPU_V3",
    "TPU_V4_POD",
    "TPU_V5_LITEPOD",
];
/// Regions in the discovery document of Vertex AI's API.
const REGIONS: [&str; 46] = [
    "africa-south1",
    "asia-east1",
    "asia-east2",
    "asia-northeast1",
    "asia-northeast2",
    "asia-northeast3",
    "asia-south1",
    "asia-south2",
    "asia-southeast1",
    "asia-southeast2",
    "asia-southeast3",
    "australia-southeast1",
    "australia-southeast2",
    "europe-central2",
    "europe-north1",
    "europe-north2",
    "europe-southwest1",
    "europe-west1",
    "europe-west10",
    "europe-west12",
    "europe-west15",
    "europe-west2",
    "europe-west3",
    "europe-west4",
    "europe-west6",
    "europe-west8",
    "europe-west9",
    "me-central1",
    "me-central2",
    "me-west1",
    "northamerica-northeast1",
    "northamerica-northeast2",
    "southamerica-east1",
    "southamerica-west1",
    "us-central1",
    "us-central2",
    "us-east1",
    "us-east4",
    "us-east5",
    "us-east7",
    "us-south1",
    "us-west1",
    "us-west2",
    "us-west3",
    "us-west4",
    "us-west8",
];
/// The service's limit, less the labels and variables that this driver adds.
const MAX_LABELS: usize = 63;
const MAX_VARIABLES: usize = 98;

pub(crate) fn specs() -> Vec<OptionSpec> {
    let text = OptionSpec::text;
    let integer = OptionSpec::integer;
    vec![
        OptionSpec::location(
            "output_path",
            "Folder of the results, as gs://bucket/path; preferably in the job's region",
            &["gs".to_owned()],
        )
        .required(),
        text("project", "Google Cloud project (default: the credentials' project)"),
        text("region", "Region of the job").default_to("us-central1"),
        text("machine_type", "Machine type").default_to("n1-standard-4"),
        text("accelerator_type", "Accelerator type, such as NVIDIA_TESLA_T4 (default: none)"),
        integer("accelerator_count", "Number of accelerators per machine (default: 1)").within(1..=16),
        integer("replica_count", "Number of machines; only the first one's results are kept")
            .within(1..)
            .default_to("1"),
        text(runner::PROCESSES.0, runner::PROCESSES.1),
        text("disk_type", "Boot disk type, such as pd-ssd or pd-standard (default: the service's choice)"),
        integer("disk_size", "Boot disk size in GB (default: 100)").within(100..=64_000),
        OptionSpec::boolean("spot", "Use cheaper Spot VMs, which may be preempted").default_to("false"),
        integer("timeout", "Maximum run time in seconds").within(60..).default_to(USUAL_TIMEOUT),
        text("service_account", "Service account of the job (default: Vertex AI's service agent)"),
        text("network", "VPC network of the job, as projects/NUMBER/global/networks/NAME"),
        text(
            "repository",
            "Artifact Registry repository for the image (default: REGION-docker.pkg.dev/PROJECT/alekseylearn, created if missing)",
        ),
        OptionSpec::entries("labels", "Labels of the job, as --config.labels.NAME=VALUE"),
        OptionSpec::entries(
            "prices",
            "Prices of machines and accelerators in USD per hour, as --config.prices.n1-standard-4=0.22",
        ),
        OptionSpec::entries(
            "environment",
            "Environment variables of the script (at most 98), as --config.environment.NAME=VALUE",
        ),
        OptionSpec::entries(
            "hyperparameters",
            "Hyperparameters of the script or notebook, as --config.hyperparameters.NAME=VALUE",
        ),
        OptionSpec::metrics(
            "metrics",
            "Regular expressions that find metrics in the log; the group is the value",
        ),
    ]
}

/// Values that the service would reject or treat in an unexpected way.
pub(crate) fn findings(options: &Values) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut problem = |key: &str, what: &str, fix: &str| {
        findings.push(Finding::problem(&format!("--config.{key}: {what}"), fix));
    };
    let given = |key: &str| options.text(key);
    for (key, is_good, fix) in [
        ("region", is_region as fn(&str) -> bool, "write it as us-central1 or europe-west4"),
        ("project", is_project, "write the project's ID, such as my-project-1234"),
        ("machine_type", is_machine, "write it as n1-standard-4 or a2-highgpu-1g"),
        ("service_account", is_account, "write it as NAME@PROJECT.iam.gserviceaccount.com"),
        ("network", is_network, "write it as projects/NUMBER/global/networks/NAME"),
        ("repository", is_repository, "write it as REGION-docker.pkg.dev/PROJECT/NAME"),
        ("output_path", |text| crate::storage::Location::parse(text).is_ok(), "write it as gs://bucket/path"),
    ] {
        if let Some(value) = given(key).filter(|value| !is_good(value)) {
            problem(key, &format!("`{value}` is not valid"), fix);
        }
    }
    if options.integer("accelerator_count").is_some() && given("accelerator_type").is_none() {
        problem(
            "accelerator_count",
            "needs --config.accelerator_type",
            "add --config.accelerator_type=NVIDIA_TESLA_T4",
        );
    }
    let labels = options.entries("labels");
    for (name, value) in &labels {
        if !is_label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) || !is_label(value) {
            let what = format!("the label's name or its value `{value}` is not valid");
            problem(&format!("labels.{name}"), &what, "use at most 63 lower-case letters, digits, - and _");
        }
    }
    let variables = options.entries("environment");
    for (name, most, count) in
        [("labels", MAX_LABELS, labels.len()), ("environment", MAX_VARIABLES, variables.len())]
    {
        if count > most {
            problem(name, &format!("{count} entries are too many"), &format!("set at most {most}"));
        }
    }
    for (name, _) in &variables {
        if !is_variable(name) {
            problem(&format!("environment.{name}"), "not a valid variable name", "use letters, digits and _");
        }
    }
    if let Some(kind) = given("accelerator_type").filter(|kind| !ACCELERATORS.contains(&kind.as_str())) {
        findings.push(Finding::warning(
            &format!("unknown accelerator {kind}"),
            "the service decides: it may be newer than this driver",
        ));
    }
    findings
}

/// Explains a connection error if the region is unknown.
pub(crate) fn explain(error: Error, region: &str) -> Error {
    if REGIONS.contains(&region) || matches!(error, Error::Denied(_)) {
        return error;
    }
    Error::invalid(format!("unknown region {region}, and its service cannot be reached: {}", error.message()))
        .hint(format!("set --config.region to one of {}", REGIONS.join(", ")))
}

fn all(text: &str, may: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(may)
}

fn plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

pub(crate) fn is_region(text: &str) -> bool {
    text.contains('-')
        && all(text, plain)
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_digit())
}

/// A project's ID, also with a domain prefix as older ones have, or its number.
fn is_project(text: &str) -> bool {
    (4..=63).contains(&text.len()) && all(text, |c| plain(c) || c == '.' || c == ':')
}

fn is_machine(text: &str) -> bool {
    text.contains('-') && all(text, plain)
}

fn is_account(text: &str) -> bool {
    let may = |c: char| plain(c) || c == '.' || c == '_';
    text.split_once('@')
        .is_some_and(|(name, domain)| all(name, may) && domain.contains('.') && all(domain, may))
}

fn is_network(text: &str) -> bool {
    matches!(text.split('/').collect::<Vec<_>>()[..], ["projects", project, "global", "networks", name] if all(project, |c| plain(c) || c == '.' || c == ':') && all(name, plain))
}

fn is_repository(text: &str) -> bool {
    text.split('/').count() >= 2
        && text.split('/').all(|part| all(part, |c| plain(c) || matches!(c, '.' | '_' | ':')))
}

fn is_label(text: &str) -> bool {
    text.len() <= 63 && text.chars().all(|c| plain(c) || c == '_')
}

fn is_variable(text: &str) -> bool {
    all(text, |c| c.is_ascii_alphanumeric() || c == '_') && !text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_as_the_service_does() {
        assert!(is_region("us-central1") && is_region("northamerica-northeast1"));
        assert!(
            !is_region("us")
                && !is_region("US-CENTRAL1")
                && !is_region("us-central1/..")
                && !is_region("evil.com-1")
        );
        assert!(is_project("my-project-1234") && is_project("example.com:p") && is_project("123456789012"));
        assert!(!is_project("a/b") && !is_project("abc"));
        assert!(is_account("a@p.iam.gserviceaccount.com") && !is_account("a") && !is_account("a@b"));
        assert!(is_network("projects/1/global/networks/default") && !is_network("default"));
        assert!(is_repository("us-central1-docker.pkg.dev/p/r") && is_repository("127.0.0.1:5000/a"));
        assert!(!is_repository("a") && !is_repository("a//b") && !is_repository("https://a/b"));
        assert!(is_label("a-b_1") && is_label("") && !is_label("A") && !is_label(&"a".repeat(64)));
    }
}
