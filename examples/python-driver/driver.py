"""A train driver in Python. It runs the image in one container on the user's Docker engine, with SageMaker's container
contract, and collects the model. Each function may be called in a new process: only `/job` is kept between calls.
"""

import json
from pathlib import Path

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import docker, options, progress, report, types

NODE = "algo-1"
STOP_GRACE_SECONDS = 120
MODEL = "model.tar.gz"
OUTPUT = "output.tar.gz"
JOB = Path("/job")
OUTCOME = JOB / "outcome.json"
STOP_REQUESTED = JOB / "stop-requested"


class Train(exports.Train):
    def options(self):
        hyperparameters = options.OptionSpec.entries(
            "hyperparameters", "Hyperparameters for the script, as --config.hyperparameters.NAME=VALUE"
        )
        return [hyperparameters]

    def check(self, training):
        return []

    def preview(self, training):
        return json.dumps({"node": NODE, "hyperparameters": hyperparameters(training)})

    def prepare(self, training):
        return report.Destination.engine()

    def submit(self, training):
        container = docker.Container(training, NODE, training.image())
        container.argument("train")
        container.scratch("/opt/ml")
        container.environment("TRAINING_JOB_NAME", training.job_name())
        # Otherwise the runner changes arguments as SageMaker's toolkit does, such as `true` to `True`.
        container.environment("ALEKSEYLEARN_ARGUMENTS", "as-written")
        for name, content in {
            "hyperparameters": hyperparameters(training),
            "inputdataconfig": {},
            "resourceconfig": {"current_host": NODE, "hosts": [NODE], "network_interface_name": "eth0"},
        }.items():
            container.file(f"/opt/ml/input/config/{name}.json", json.dumps(content).encode())
        container.start()
        return training.job_name()

    def status(self, job):
        if OUTCOME.exists():
            return ended(json.loads(OUTCOME.read_text()))
        node = docker.node(job, NODE)
        if node is None:
            return failed("the container was removed before its results were saved")
        if node.running():
            return report.JobStatus(
                report.State.STOPPING if STOP_REQUESTED.exists() else report.State.RUNNING
            )
        return ended(collect(job, node))

    def logs(self, job, cursor):
        return docker.logs(job, NODE, cursor)

    def stop(self, job):
        STOP_REQUESTED.touch()
        docker.stop(job, [NODE], STOP_GRACE_SECONDS)

    def artifacts(self, job):
        kinds = {report.ArtifactKind.MODEL: MODEL, report.ArtifactKind.OUTPUT_DATA: OUTPUT}
        return [report.Artifact.job_file(kind, name) for kind, name in kinds.items() if (JOB / name).exists()]

    def find(self, location, prefix):
        hint = "run the command without the S3 path"
        problem = types.Problem("jobs of this driver have no location in the cloud", hint, None)
        raise Err(types.Error_Unsupported(problem))


def hyperparameters(training):
    return dict(training.options().entries("hyperparameters"))


def collect(job, node):
    """Save the results of an ended container. The outcome is written last, then the container is removed."""
    progress.stage("Collecting the model")
    docker.collect(job, [NODE], "/opt/ml/model", MODEL)
    docker.collect(job, [NODE], "/opt/ml/output/data", OUTPUT)
    docker.save_logs(job, NODE)
    reason = docker.read(job, NODE, "/opt/ml/output/failure")
    outcome = {
        "exit_code": node.exit_code(),
        "stopped": STOP_REQUESTED.exists(),
        "reason": reason and reason.decode(errors="replace")[:1024],
        "started": node.started(),
        "finished": node.finished(),
    }
    partial = OUTCOME.with_suffix(".part")
    partial.write_text(json.dumps(outcome))
    partial.rename(OUTCOME)
    docker.remove(job, NODE)
    return outcome


def ended(outcome):
    if outcome["stopped"]:
        state = report.State.STOPPED
    elif outcome["exit_code"] == 0:
        state = report.State.COMPLETED
    else:
        state = report.State.FAILED
    status = report.JobStatus(state)
    status.exit_code(outcome["exit_code"])
    if outcome["started"]:
        status.phase("Training", outcome["started"], outcome["finished"])
    if outcome["reason"]:
        status.reason(outcome["reason"])
    return status


def failed(reason):
    status = report.JobStatus(report.State.FAILED)
    status.reason(reason)
    return status
