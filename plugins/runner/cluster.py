"""The other hosts of a job with several: what launchers expect to know of them."""

import os
import socket
import time
from typing import Callable, Dict, List

from job import Job
from roots import Roots

# Names of hosts may be known only some time after the first of them has started.
RESOLVE_SECONDS = 300.0
PAUSE_SECONDS = 0.2
# A host that has ended has no name any more. What starts within this time of the first one finds it.
STAY_SECONDS = 5.0


def cluster_environment(job: Job, roots: Roots) -> Dict[str, str]:
    """Give what torch.distributed, torchrun and MPI read, for one process on each host.

    A launcher that starts more of them on a host sets its own for each. On a
    single host there is nothing: a script takes these for being distributed.
    """
    hosts = job.hosts
    if len(hosts) < 2:
        return {}
    rank = str(hosts.index(job.current_host))
    # The platform may have said it.
    address = os.environ.get("MASTER_ADDR", hosts[0])
    port = os.environ.get("MASTER_PORT", str(job.master_port))
    interface = job.resource_config["network_interface_name"]
    hostfile = str(roots.hostfile)
    return {
        # torch.distributed and what follows it (env://)
        "MASTER_ADDR": address,
        "MASTER_PORT": port,
        "WORLD_SIZE": str(len(hosts)),
        "RANK": rank,
        "LOCAL_RANK": "0",
        "NODE_RANK": rank,
        # torchrun, in place of its options
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
    """Wait until the names of all hosts are known; give those that are not in time.

    MPI's list of hosts, a name a line, is there afterwards.
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
    """Wait, where a script has ended at once, for slower hosts that look for this one's name.

    `met` is the time.monotonic() at which this host knew all others.
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
