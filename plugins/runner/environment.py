"""The script's environment variables: SM_* and those for Python itself.

The platform does not set the SM_* variables. The toolkit in SageMaker's own
images does, and scripts rely on them, so the runner does the same.
"""

import json
import os
import shutil
import subprocess
from typing import Any, Dict, List

from cluster import cluster_environment
from job import Job
from roots import Roots

LOG_LEVEL = 20  # logging.INFO
PROBE_SECONDS = 30


def script_environment(job: Job, roots: Roots) -> Dict[str, str]:
    """Return the script's whole environment.

    The job's own environment takes precedence, so that a user can set any SM_*
    variable by hand.
    """
    environment = {
        # Output of the script's child processes appears as promptly as its own.
        "PYTHONUNBUFFERED": "1",
        # A crash in native code prints where it happened.
        "PYTHONFAULTHANDLER": "1",
        # GitPython, which MLflow uses, prints 15 lines if there is no git.
        "GIT_PYTHON_REFRESH": "quiet",
    }
    environment.update(
        {"SM_" + name.upper(): _variable_value(value) for name, value in _training_values(job, roots).items()}
    )
    environment.update(cluster_environment(job, roots))
    environment.update(os.environ)
    return environment


def _training_values(job: Job, roots: Roots) -> Dict[str, Any]:
    """Return all SM_* values, by name in lower case without the prefix."""
    values = {
        "model_dir": str(roots.model),
        "input_dir": str(roots.input),
        "input_config_dir": str(roots.input_config),
        "output_dir": str(roots.output),
        "output_data_dir": str(roots.output_data),
        "output_intermediate_dir": str(roots.output_intermediate),
        "channels": job.channels,
        "hps": job.hyperparameters,
        "hosts": job.hosts,
        "host_count": len(job.hosts),
        "current_host": job.current_host,
        "current_host_rank": job.hosts.index(job.current_host),
        "master_addr": job.hosts[0],
        "master_port": job.master_port,
        "current_instance_type": job.resource_config.get("current_instance_type", "local"),
        "num_gpus": count_gpus(),
        "num_cpus": len(os.sched_getaffinity(0)),
        "num_neurons": _count_neuron_cores(),
        "network_interface_name": job.resource_config["network_interface_name"],
        "resource_config": job.resource_config,
        "input_data_config": job.input_data_config,
        "user_args": job.arguments,
        "user_entry_point": job.artifact,
        "module_name": os.path.splitext(job.artifact)[0],
        "module_dir": str(roots.code),
        "log_level": job.platform_parameters.get("sagemaker_container_log_level", LOG_LEVEL),
    }
    channel_folders = {name: str(roots.input_data / name) for name in job.channels}
    values["training_env"] = dict(
        values,
        channel_input_dirs=channel_folders,
        hyperparameters=job.hyperparameters,
        job_name=os.environ.get("TRAINING_JOB_NAME"),
        is_master=job.leads,
    )
    values.update(("channel_" + name, folder) for name, folder in channel_folders.items())
    values.update(("hp_" + key, value) for key, value in job.hyperparameters.items())
    return values


def _variable_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def count_gpus() -> int:
    """Return the number of GPUs in this container."""
    listing = _probe(["nvidia-smi", "--list-gpus"])
    return sum(line.startswith("GPU ") for line in listing.splitlines())


def _count_neuron_cores() -> int:
    try:
        return sum(device.get("nc_count", 0) for device in json.loads(_probe(["neuron-ls", "-j"])))
    except ValueError:
        return 0


def _probe(command: List[str]) -> str:
    """Run a vendor's tool that lists hardware. Without the tool, the output is empty."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_SECONDS,
            universal_newlines=True,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
