//! The driver's options. Their limits are the service's: `model.rs` checks the whole request.

use alekseylearn_sdk::OptionSpec;

use crate::machines;

/// 28 days, the service's own limit.
const LONGEST_RUNTIME: i64 = 28 * 24 * 3600;

pub(crate) fn specs() -> Vec<OptionSpec> {
    let text = OptionSpec::text;
    let integer = OptionSpec::integer;
    let boolean = |key: &str, help: &str| OptionSpec::boolean(key, help).default_to("false");
    let in_s3 = ["s3".to_owned()];
    vec![
        OptionSpec::location("output_path", "Where the results go, as s3://bucket/path", &in_s3).required(),
        OptionSpec::role("role_name", "Role that SageMaker runs the job as").required(),
        OptionSpec::aws_profile("profile", "Profile of your AWS configuration; the usual one unless told"),
        OptionSpec::aws_region("region", "Region to train in; the usual one unless told"),
        OptionSpec::aws_endpoint("endpoint", "Address in place of AWS's own, as AWS_ENDPOINT_URL"),
        text("train_instance_type", "Kind of instance").default_to(machines::KIND),
        integer("train_instance_count", "Number of instances")
            .within(1..)
            .default_to(&machines::COUNT.to_string()),
        OptionSpec::entries(
            "instance_groups",
            "In place of these, up to 5 groups of instances of different kinds, as --config.instance_groups.NAME=TYPE:COUNT",
        ),
        text(runner::PROCESSES.0, runner::PROCESSES.1),
        integer("volume_size", "Disk of an instance in GiB").within(1..=16_384).default_to("30"),
        integer("keep_alive", "Seconds that instances stay warm for a next job; they cost as in training")
            .within(0..=21_600),
        integer("max_runtime", "Seconds after which the job is stopped; 4 hours, the service's own is a day")
            .within(1..=LONGEST_RUNTIME)
            .default_to("14400"),
        boolean(
            "spot",
            "Train on spare capacity, for less, with interruptions; results go on from checkpoints",
        ),
        integer(
            "max_wait",
            "With spot: seconds for waiting and training together; twice max_runtime unless told",
        )
        .within(1..),
        OptionSpec::location(
            "checkpoints",
            "Where /opt/ml/checkpoints is kept and comes back from; with spot a folder of the job's results",
            &in_s3,
        ),
        integer("retries", "Tries again after an error of the service's own").within(1..=30),
        OptionSpec::entries(
            "hyperparameters",
            "Arguments of the script, at most 100, of 256 characters each",
        ),
        OptionSpec::entries("environment", "Variables of the container, of at most 512 characters each"),
        boolean(
            "secrets_in_request",
            "Send secrets as variables of the job, where all who may look at the account's training jobs can read them",
        ),
        OptionSpec::inputs(
            "input",
            "Data that the script finds in /opt/ml/input/data/NAME, at most 20: s3://… or a folder, which goes to output_path/inputs",
            &in_s3,
        ),
        OptionSpec::entries("input_modes", "How an input arrives, where that is not by input_mode"),
        OptionSpec::entries("input_type", "MIME type of an input, for scripts that ask for it"),
        OptionSpec::entries("input_compression", "Gzip where an input's objects are to be unpacked"),
        OptionSpec::entries(
            "input_sharding",
            "ShardedByS3Key where each instance is to get its part of an input",
        ),
        OptionSpec::entries(
            "input_groups",
            "Instance groups that an input is for, with commas between them; all unless told",
        ),
        text("input_mode", "How inputs arrive: copied before the start, read on demand, or as a pipe")
            .one_of(&["File", "FastFile", "Pipe"])
            .default_to("File"),
        OptionSpec::metrics(
            "metrics",
            "Regular expressions whose group is the value, by which metrics are found in the log",
        ),
        OptionSpec::entries("tags", "Tags of the job in your account, at most 49"),
        text("subnets", "Subnets of a VPC to train in, with commas between them; needs security_groups"),
        text("security_groups", "Security groups of that VPC, with commas between them"),
        boolean("network_isolation", "No network for the container"),
        boolean("encrypt_traffic", "Encrypt what instances send each other; slower"),
        text("output_compression", "NONE for results as objects, not archives: sooner done for large models")
            .one_of(&["GZIP", "NONE"])
            .default_to("GZIP"),
        text("output_kms_key", "KMS key that encrypts the results"),
        text("volume_kms_key", "KMS key that encrypts the instances' disks"),
        OptionSpec::entries(
            "prices",
            "What kinds of instances cost you, in USD an hour, as --config.prices.ml.m5.xlarge=0.23: newer than the known ones",
        ),
        OptionSpec::entries(
            "request",
            "Anything else of CreateTrainingJob, as --config.request.MEMBER.MEMBER=JSON; null leaves a member out",
        ),
    ]
}
