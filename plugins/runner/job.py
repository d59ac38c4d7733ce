"""The job's description, read from `/opt/ml/input/config`, the image and variables."""

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from arguments import decode, script_arguments
from roots import Roots

# Hyperparameters for the platform or its tuner, not for the script.
RESERVED_PREFIX = "sagemaker_"
TUNING_METRIC = "_tuning_objective_metric"


# The same in variables, for a platform that writes no files. The second one is Vertex AI's.
HYPERPARAMETERS_VARIABLE = "ALEKSEYLEARN_HYPERPARAMETERS"
CLUSTER_VARIABLE = "CLUSTER_SPEC"

# Set by the driver if the script's arguments are what the user wrote, and not SageMaker's conversion of it.
ARGUMENTS_VARIABLE = "ALEKSEYLEARN_ARGUMENTS"
AS_WRITTEN = "as-written"

# The run's other settings: one JSON object, split over as many variables as it needs.
RUN_VARIABLE = "ALEKSEYLEARN_RUN_{}"

KINDS = ("script", "notebook", "module", "function", "shell")

MASTER_PORT = 7777  # what the SageMaker SDK uses


class SetupError(Exception):
    """The image or the job's configuration is not usable. The message explains why."""


class Job(NamedTuple):
    """A training job as its container sees it."""

    # Path relative to the code folder.
    artifact: str
    kind: str
    # Import name of a module, or of a function's module.
    module: str
    function: str
    # Name of the function's command, if an installation would create one.
    name: str
    # Working folder, relative to the code folder. A notebook runs in its own folder.
    folder: str
    hyperparameters: Dict[str, Any]
    # The script's command line: the hyperparameters, then the arguments that the user typed.
    arguments: List[str]
    # Paths and patterns of the model's files, relative to the working folder.
    model: List[str]
    # Processes of the script per host: a number, or `gpu` for one per GPU.
    processes: Optional[str]
    platform_parameters: Dict[str, Any]
    input_data_config: Dict[str, Any]
    resource_config: Dict[str, Any]
    # The primary host comes first.
    hosts: List[str]
    # The port at which the others reach the primary host.
    master_port: int
    # This host's name in the platform's messages.
    replica: str

    def working_folder(self, roots: Roots) -> Path:
        return roots.code / self.folder

    @property
    def current_host(self) -> str:
        return self.resource_config["current_host"]

    @property
    def leads(self) -> bool:
        return self.current_host == self.hosts[0]

    @property
    def channels(self) -> List[str]:
        return sorted(self.input_data_config)


def read_job(roots: Roots) -> Job:
    """Read all files that describe the job.

    Only the artifact's description is required. Without the others, the job has
    one host, no hyperparameters and no channels.
    """
    description = _read_object(roots.artifact_description)
    run = _run(os.environ)
    artifact = description.get("artifact")
    if not isinstance(artifact, str):
        raise SetupError("{} names no artifact".format(roots.artifact_description))
    kind = description.get("kind", "notebook" if artifact.endswith(".ipynb") else "script")
    if kind not in KINDS:
        raise SetupError("{} names an unknown kind of artifact: {!r}".format(roots.artifact_description, kind))
    if kind in ("script", "notebook", "shell") and not (roots.code / artifact).is_file():
        raise SetupError(
            "the artifact {!r}, named in {}, is not in {}".format(
                artifact, roots.artifact_description, roots.code
            )
        )
    texts = dict(
        _object(HYPERPARAMETERS_VARIABLE, os.environ.get(HYPERPARAMETERS_VARIABLE, "{}")),
        **_read_object(roots.input_config / "hyperparameters.json")
    )
    of_the_script = {key: text for key, text in texts.items() if not _is_reserved(key)}
    resources = {"current_host": "algo-1", "network_interface_name": "eth0"}
    cluster = _cluster(os.environ.get(CLUSTER_VARIABLE, "{}"))
    if cluster is not None:
        resources.update(current_host=cluster.current, hosts=cluster.hosts)
    resources.update(_read_object(roots.input_config / "resourceconfig.json"))
    resources.setdefault("hosts", [resources["current_host"]])
    if resources["current_host"] not in resources["hosts"]:
        raise SetupError("resourceconfig.json does not list this host, {}".format(resources["current_host"]))
    return Job(
        artifact=artifact,
        kind=kind,
        module=description.get("module", ""),
        function=description.get("function", ""),
        name=description.get("name", ""),
        folder=os.path.dirname(artifact) if kind == "notebook" else description.get("folder", ""),
        hyperparameters={key: decode(text) for key, text in of_the_script.items()},
        arguments=script_arguments(of_the_script, os.environ.get(ARGUMENTS_VARIABLE) == AS_WRITTEN)
        + _texts(run, "arguments"),
        model=_texts(run, "model"),
        processes=_processes(run, kind),
        platform_parameters={key: decode(text) for key, text in texts.items() if _is_reserved(key)},
        input_data_config=_read_object(roots.input_config / "inputdataconfig.json"),
        resource_config=resources,
        hosts=sorted(resources["hosts"]) if cluster is None else resources["hosts"],
        master_port=MASTER_PORT if cluster is None else cluster.port,
        replica=resources["current_host"] if cluster is None else cluster.replica,
    )


def _run(environment: Mapping[str, str]) -> Dict[str, Any]:
    """Return the run's settings, joined from their variables."""
    pieces = []  # type: List[str]
    while RUN_VARIABLE.format(len(pieces)) in environment:
        pieces.append(environment[RUN_VARIABLE.format(len(pieces))])
    return _object(RUN_VARIABLE.format("N"), "".join(pieces)) if pieces else {}


def _texts(run: Dict[str, Any], name: str) -> List[str]:
    texts = run.get(name, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise SetupError("{}: {!r} is not a list of strings".format(RUN_VARIABLE.format("N"), name))
    return texts


def _processes(run: Dict[str, Any], kind: str) -> Optional[str]:
    wanted = run.get("processes_per_node")
    if wanted is None:
        return None
    text = str(wanted)
    if text != "gpu" and not (text.isdigit() and int(text) > 0):
        raise SetupError("processes_per_node is {!r}, not a number or `gpu`".format(wanted))
    if kind == "notebook":
        raise SetupError("processes_per_node is not supported for notebooks")
    return text


def _is_reserved(key: str) -> bool:
    return key.startswith(RESERVED_PREFIX) or key == TUNING_METRIC


class _Cluster(NamedTuple):
    """The hosts in Vertex AI's variable, the primary one first."""

    hosts: List[str]
    current: str
    port: int
    replica: str


def _cluster(text: str) -> Optional[_Cluster]:
    """Return the cluster; None if there is only one host.

    The first pool holds the primary host. Other hosts can reach a host only at
    the port that is listed with it.
    """
    description = _object(CLUSTER_VARIABLE, text)
    try:
        pools = {
            name: [address.rpartition(":")[0] or address for address in addresses]
            for name, addresses in description["cluster"].items()
        }
        pool, index = description["task"]["type"], int(description["task"]["index"])
        current = pools[pool][index]
        port = description["cluster"][min(pools)][0].rpartition(":")[2]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None  # another program's variable
    hosts = [host for name in sorted(pools) for host in pools[name]]
    if len(hosts) < 2:
        return None
    return _Cluster(hosts, current, int(port) if port.isdigit() else MASTER_PORT, "{}-{}".format(pool, index))


def _read_object(path: Path) -> Dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SetupError("cannot read {}: {}".format(path, error)) from error
    return _object(str(path), text)


def _object(name: str, text: str) -> Dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise SetupError("cannot read {}: {}".format(name, error)) from error
    if not isinstance(content, dict):
        raise SetupError("{} does not hold a JSON object".format(name))
    return content
