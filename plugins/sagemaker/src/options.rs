//! The driver's options. `model.rs` checks the whole request for the service's limits.

use alekseylearn_sdk::OptionSpec;

use crate::machines;

/// 28 days in seconds, the service's limit.
const MAX_RUNTIME: i64 = 28 * 24 * 3600;

pub(crate) fn specs() -> Vec<OptionSpec> {
    let text = OptionSpec::text;
    let integer = OptionSpec::integer;
    let boolean = |key: &str, help: &str| OptionSpec::boolean(key, help).default_to("false");
    let in_s3 = ["s3".to_owned()];
    vec![
        OptionSpec::location("output_path", "Folder of the results, as s3://bucket/path", &in_s3).required(),
        OptionSpec::role("role_name", "Name or ARN of the role that SageMaker assumes for the job")
            .required(),
        OptionSpec::aws_profile("profile", "AWS profile (default: AWS_PROFILE, else `default`)"),
        OptionSpec::aws_region("region", "AWS region (default: AWS_REGION, else the profile's region)"),
        OptionSpec::aws_endpoint("endpoint", "Endpoint URL to use instead of AWS's, like AWS_ENDPOINT_URL"),
        text("train_instance_type", "Instance type").default_to(machines::KIND),
        integer("train_instance_count", "Number of instances")
            .within(1..)
            .default_to(&machines::COUNT.to_string()),
        OptionSpec::entries(
            "instance_groups",
            "Up to 5 groups of different instance types instead, as --config.instance_groups.NAME=TYPE:COUNT",
        ),
        text(runner::PROCESSES.0, runner::PROCESSES.1),
        integer("volume_size", "Disk size per instance in GiB").within(1..=16_384).default_to("30"),
        integer("keep_alive", "Seconds to keep instances warm for the next job; billed like training")
            .within(0..=21_600),
        integer("max_runtime", "Maximum run time in seconds").within(1..=MAX_RUNTIME).default_to("14400"),
        boolean("spot", "Use cheaper spot instances, which may be interrupted; jobs resume from checkpoints"),
        integer("max_wait", "Maximum seconds of waiting and training with spot (default: twice max_runtime)")
            .within(1..),
        OptionSpec::location(
            "checkpoints",
            "S3 location of /opt/ml/checkpoints, as s3://bucket/path (default with spot: a folder of the job's results)",
            &in_s3,
        ),
        integer("retries", "Number of retries after an internal error of the service").within(1..=30),
        OptionSpec::entries(
            "hyperparameters",
            "Hyperparameters of the script, at most 100 of 256 characters each, as --config.hyperparameters.NAME=VALUE",
        ),
        OptionSpec::entries(
            "environment",
            "Environment variables of the container, at most 512 characters each, as --config.environment.NAME=VALUE",
        ),
        boolean(
            "secrets_in_request",
            "Send secrets as variables of the job, which everybody who may describe the account's training jobs can read",
        ),
        OptionSpec::inputs(
            "input",
            "Data for /opt/ml/input/data/NAME, at most 20: s3://… or a local folder, which is uploaded to output_path/inputs",
            &in_s3,
        ),
        OptionSpec::entries(
            "input_modes",
            "Mode of one input, as --config.input_modes.NAME=MODE (default: input_mode)",
        ),
        OptionSpec::entries("input_type", "MIME type of one input, as --config.input_type.NAME=TYPE"),
        OptionSpec::entries(
            "input_compression",
            "Compression of one input, as --config.input_compression.NAME=Gzip to unpack its objects",
        ),
        OptionSpec::entries(
            "input_sharding",
            "Distribution of one input: ShardedByS3Key gives each instance a part of it",
        ),
        OptionSpec::entries(
            "input_groups",
            "Instance groups that get an input, comma-separated (default: all)",
        ),
        text("input_mode", "How inputs arrive: copied before the start, read on demand, or streamed")
            .one_of(&["File", "FastFile", "Pipe"])
            .default_to("File"),
        OptionSpec::metrics(
            "metrics",
            "Regular expressions that find metrics in the log; the group is the value",
        ),
        OptionSpec::entries("tags", "AWS tags of the job, at most 49, as --config.tags.KEY=VALUE"),
        text("subnets", "VPC subnets of the job, comma-separated; needs security_groups"),
        text("security_groups", "VPC security groups of the job, comma-separated; needs subnets"),
        boolean("network_isolation", "Run the container without network access"),
        boolean("encrypt_traffic", "Encrypt traffic between instances; slower"),
        text(
            "output_compression",
            "Compression of the results; NONE stores objects instead of archives, faster for large models",
        )
        .one_of(&["GZIP", "NONE"])
        .default_to("GZIP"),
        text("output_kms_key", "KMS key for the results"),
        text("volume_kms_key", "KMS key for the instances' disks"),
        OptionSpec::entries(
            "prices",
            "Prices of instances in USD per hour that replace the known ones, as --config.prices.ml.m5.xlarge=0.23",
        ),
        OptionSpec::entries(
            "request",
            "Other members of CreateTrainingJob, as --config.request.MEMBER.MEMBER=JSON; null removes a member",
        ),
    ]
}
