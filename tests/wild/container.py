"""A plain container, in which a README's command runs."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from log import Log, quiet

PROJECT = "/home/project"
"""Where the checkout lies."""
DATA = "/opt/ml/input/data"
"""Where a training service puts data."""
KEPT = "alekseylearn-wild"
"""A volume for what was downloaded, and for the virtual environment of each run, which links to it."""
CERTIFICATES = "/etc/ssl/certs/measure.crt"

COMPILED = "catboost lightgbm matplotlib numpy pandas pyarrow scikit-learn scipy shap xgboost"
"""What no plain container can build, which has no compiler. To find that out by trying takes minutes."""
SHELL = f"""
set -e
export UV_CACHE_DIR=/kept/uv PYTHONPYCACHEPREFIX=/kept/pyc VIRTUAL_ENV=/kept/$NAME PATH=/kept/$NAME/bin:$PATH
export UV_NO_BUILD_PACKAGE="{COMPILED}" PIP_ONLY_BINARY="{COMPILED.replace(" ", ",")}"
pip() {{ uv --quiet pip "$@" || python -m pip "$@"; }}
"""
"""What every shell starts with. uv takes seconds where pip takes minutes; where it fails, pip has the last word."""
PREPARE = """
test -d /kept/tools || PYTHONPYCACHEPREFIX= VIRTUAL_ENV= command pip install --quiet --prefix /kept/tools uv
ln -sf "$(find /kept/tools -name uv -type f | head -1)" /usr/local/bin/uv
uv --quiet venv --clear --seed --python /usr/bin/python3 "/kept/$NAME"
mkdir -p /opt/ml/model /opt/ml/output /opt/ml/input/config
echo '{}' > /opt/ml/input/config/hyperparameters.json
"""


class Container:
    """A running container with a copy of a checkout."""

    def __init__(self, name: str, log: Log) -> None:
        self.name, self.log = name, log

    def run(self, script: str, limit: float, folder: str = "") -> int:
        """Runs a shell script in a folder of the checkout. Returns its exit status, 124 past the limit."""
        script = f"{SHELL}cd {shlex.quote(f'{PROJECT}/{folder}')}\n{script}"
        return self.log.run(["docker", "exec", self.name, "bash", "-c", script], limit)

    def bring_home(self, checkout: Path) -> None:
        """Puts the files of the checkout's copy, as they are now, back into the checkout."""
        quiet(["docker", "cp", f"{self.name}:{PROJECT}/.", str(checkout)])

    def written(self) -> list[str]:
        """The files of the checkout and of `/opt/ml` that are newer than `/home/started`."""
        find = ["find", PROJECT, "/opt/ml", "-newer", "/home/started", "-type", "f"]
        names = quiet(["docker", "exec", self.name, *find]).splitlines()
        return [name.removeprefix(f"{PROJECT}/") for name in names]


@contextmanager
def container(name: str, base: str, checkout: Path, importable: tuple[str, ...], log: Log) -> Iterator[Container]:
    """A fresh container of an image, by this machine's way to the package index."""
    environment = [f"--env={name}" for name in os.environ if re.fullmatch("(PIP|UV)_.*|(?i:.*_proxy)", name)]
    certificates = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT")
    if certificates:
        environment.append(f"--volume={certificates}:{CERTIFICATES}:ro")
        bundles = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
        environment += [f"--env={bundle}={CERTIFICATES}" for bundle in bundles]
    if importable:
        environment.append("--env=PYTHONPATH=" + ":".join(f"{PROJECT}/{folder}".rstrip("/") for folder in importable))
    # The lowest of shares: others use the machine, too.
    options = ["--detach", "--init", "--cpu-shares=64", f"--name={name}", f"--volume={KEPT}:/kept"]
    quiet(["docker", "run", *options, f"--env=NAME={name}", *environment, base, "sleep", "infinity"])
    try:
        quiet(["docker", "cp", str(checkout), f"{name}:{PROJECT}"])
        fresh = Container(name, log)
        fresh.run(PREPARE, 600)
        yield fresh
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=False, capture_output=True)
