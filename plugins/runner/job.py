"""What the platform says about this job, read from `/opt/ml/input/config`."""

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from arguments import decode, script_arguments
from roots import Roots

# Hyperparameters meant for the platform or its tuner, never for the script.
RESERVED_PREFIX = "sagemaker_"
TUNING_METRIC = "_tuning_objective_metric"


# Where a platform writes no files, the same is in variables: ours, and one of Vertex AI's.
HYPERPARAMETERS_VARIABLE = "ALEKSEYLEARN_HYPERPARAMETERS"
CLUSTER_VARIABLE = "CLUSTER_SPEC"

# Whoever starts the job says by this that arguments are to be what the user wrote, and not what SageMaker's toolkit
# makes of it.
ARGUMENTS_VARIABLE = "ALEKSEYLEARN_ARGUMENTS"
AS_WRITTEN = "as-written"

# What the user asked of this run beyond hyperparameters: one JSON object, in as many variables as it takes.
RUN_VARIABLE = "ALEKSEYLEARN_RUN_{}"

KINDS = ("script", "notebook", "module", "function", "shell")

MASTER_PORT = 7777  # what the SageMaker SDK uses


class SetupError(Exception):
    """The image or the job's configuration cannot be used; the message says why."""


class Job(NamedTuple):
    """One training job as its container sees it."""

    # A path from the code folder.
    artifact: str
    kind: str
    # What a module or a function is imported as.
    module: str
    function: str
    # What the function is called on a command line, if an installation would give it a name.
    name: str
    # Where the script runs, from the code folder; a notebook's is its own folder.
    folder: str
    hyperparameters: Dict[str, Any]
    # The script's command line: the same, and after it what the user typed.
    arguments: List[str]
    # Paths and patterns that name the model, from the working folder.
    model: List[str]
    # How many processes of the script each host runs: a number, or `gpu` for one for each GPU.
    processes: Optional[str]
    platform_parameters: Dict[str, Any]
    input_data_config: Dict[str, Any]
    resource_config: Dict[str, Any]
    # The one that leads comes first.
    hosts: List[str]
    # Where the others find the one that leads.
    master_port: int
    # What the platform's messages call this host.
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
    """Read every file the job is described in.

    Only the artifact's description has to be there; without the others this is
    a job on one host, with no hyperparameters and no channels.
    """
    description = _read_object(roots.artifact_description)
    run = _run(os.environ)
    artifact = description.get("artifact")
    if not isinstance(artifact, str):
        raise SetupError("{} does not say what to train".format(roots.artifact_description))
    kind = description.get("kind", "notebook" if artifact.endswith(".ipynb") else "script")
    if kind not in KINDS:
        raise SetupError("{} names a kind of artifact that is not known: {!r}".format(roots.artifact_description, kind))
    if kind in ("script", "notebook", "shell") and not (roots.code / artifact).is_file():
        raise SetupError(
            "the image names {!r} in {} as what to train, and there is no such file in {}".format(
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
    """Join what the user asked of this run; without such variables, nothing."""
    pieces = []  # type: List[str]
    while RUN_VARIABLE.format(len(pieces)) in environment:
        pieces.append(environment[RUN_VARIABLE.format(len(pieces))])
    return _object(RUN_VARIABLE.format("N"), "".join(pieces)) if pieces else {}


def _texts(run: Dict[str, Any], name: str) -> List[str]:
    texts = run.get(name, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise SetupError("{} holds no list of texts as {!r}".format(RUN_VARIABLE.format("N"), name))
    return texts


def _processes(run: Dict[str, Any], kind: str) -> Optional[str]:
    wanted = run.get("processes_per_node")
    if wanted is None:
        return None
    text = str(wanted)
    if text != "gpu" and not (text.isdigit() and int(text) > 0):
        raise SetupError("processes_per_node is {!r}: it takes a number, or `gpu`".format(wanted))
    if kind == "notebook":
        raise SetupError("a notebook is one process: processes_per_node is for scripts")
    return text


def _is_reserved(key: str) -> bool:
    return key.startswith(RESERVED_PREFIX) or key == TUNING_METRIC


class _Cluster(NamedTuple):
    """The hosts that Vertex AI tells of, the one that leads first."""

    hosts: List[str]
    current: str
    port: int
    replica: str


def _cluster(text: str) -> Optional[_Cluster]:
    """Give the cluster where there are several hosts.

    The first pool has the one that leads. A host may be reached from others at
    the port that is told with it alone.
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
