"""The hosts of a distributed job: waits for them, and sets the variables that launchers expect."""

import os
import socket
import time
from typing import Callable, Dict, List

from job import Job
from roots import Roots

# The hosts' names may be resolvable only some time after the first host has started.
RESOLVE_SECONDS = 300.0
PAUSE_SECONDS = 0.2
# A host's name is gone when it has ended. Hosts that start within this time of the first one still find it.
STAY_SECONDS = 5.0


def cluster_environment(job: Job, roots: Roots) -> Dict[str, str]:
    """Return the variables of torch.distributed, torchrun and MPI, for one process on each host.

    A launcher that starts more processes on a host sets them for each. A single
    host gets none, because scripts take them as a sign of a distributed job.
    """
    hosts = job.hosts
    if len(hosts) < 2:
        return {}
    rank = str(hosts.index(job.current_host))
    # The platform may have set them.
    address = os.environ.get("MASTER_ADDR", hosts[0])
    port = os.environ.get("MASTER_PORT", str(job.master_port))
    interface = job.resource_config["network_interface_name"]
    hostfile = str(roots.hostfile)
    return {
        # torch.distributed and frameworks that use its variables (env://)
        "MASTER_ADDR": address,
        "MASTER_PORT": port,
        "WORLD_SIZE": str(len(hosts)),
        "RANK": rank,
        "LOCAL_RANK": "0",
        "NODE_RANK": rank,
        # torchrun, instead of its options
        "PET_NNODES": str(len(hosts)),
        "PET_NODE_RANK": rank,
        "PET_MASTER_ADDR": address,
        "PET_MASTER_PORT": port,
        "GLOO_SOCKET_IFNAME": interface,
        "NCCL_SOCKET_IFNAME": interface,
        # mpirun of Open MPI, MPICH and Intel MPI
        "OMPI_MCA_orte_default_hostfile": hostfile,
        "HYDRA_HOST_FILE": hostfile,
        "I_MPI_HYDRA_HOST_FILE": hostfile,
    }


def meet(job: Job, roots: Roots, is_stopping: Callable[[], bool]) -> List[str]:
    """Wait until the names of all hosts are resolvable; return those that are not in time.

    Also writes MPI's list of hosts, one name per line.
    """
    if len(job.hosts) < 2:
        return []
    roots.hostfile.write_text("".join(host + "\n" for host in job.hosts), encoding="utf-8")
    deadline = time.monotonic() + RESOLVE_SECONDS
    missing = [host for host in job.hosts if not _is_known(host)]
    while missing and not is_stopping() and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        missing = [host for host in missing if not _is_known(host)]
    return missing


def stay(job: Job, met: float, is_stopping: Callable[[], bool]) -> None:
    """Wait, if the script ended at once, for slower hosts that still resolve this host's name.

    `met` is the time.monotonic() at which this host had resolved all others.
    """
    if len(job.hosts) < 2:
        return
    while not is_stopping() and time.monotonic() < met + STAY_SECONDS:
        time.sleep(PAUSE_SECONDS)


def _is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True
