# Trains in a virtual environment of this machine: puts the project, the runner and the dependencies into the job's
# folder, runs the script with the runner, as in an image, and packs its results.
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import contextmanager
from pathlib import Path

JOB_FOLDER = Path(sys.argv[1])
HOME = JOB_FOLDER / "home"
CODE = HOME / "code"
RUNNER = HOME / "runner"
ML = JOB_FOLDER / "ml"
# Variables that are for the installation, and not for the script.
OF_INSTALLERS = ("PIP_", "UV_", "ALEKSEYLEARN_ENVIRONMENTS")
STOPPED = 143
# Characters of the reason that SageMaker keeps.
REASON_LENGTH = 1024


class Ended(Exception):
    """The training cannot go on: the reason, and its exit code."""


class Signals:
    """Passes SIGTERM on to the runner. Before it runs, SIGTERM ends everything."""

    def __init__(self):
        self.runner = None
        signal.signal(signal.SIGTERM, self.stop)
        # The terminal of the program that started this is not this one's.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def stop(self, number, frame):
        if self.runner is None:
            raise Ended("stopped before the script ran", STOPPED)
        self.runner.terminate()


def end(reason, code=1):
    raise Ended(reason, code)


def unpack():
    """Put the project, the runner and its configuration into their folders."""
    with tarfile.open(str(JOB_FOLDER / "project.tar.gz"), "r:gz") as archive:
        archive.extractall(str(HOME))
    for name, text in JOB["runner"].items():
        write(RUNNER / name, text)
    for path, text in JOB["package"].items():
        write(HOME / "package" / path, text)
    write(HOME / "artifact.json", json.dumps(JOB["description"]))
    for name in ("hyperparameters", "inputdataconfig", "resourceconfig"):
        write(ML / "input" / "config" / (name + ".json"), json.dumps(JOB[name]))
    data = ML / "input" / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name, folder in JOB["inputs"].items():
        os.symlink(folder, str(data / name))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def interpreter():
    """Return a Python of this machine that the project accepts."""
    here = "{}.{}".format(*sys.version_info[:2])
    versions = JOB["python"]["versions"]
    if not versions or here in versions:
        return sys.executable
    for version in versions:
        found = shutil.which("python" + version)
        # Version managers put a command there for each version, installed or not.
        if found is not None and subprocess.run([found, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0:
            return found
    end(
        "the project requires {}, and this machine's Python is {}: install it, or train in a container with "
        "--train-driver local".format(JOB["python"]["origin"], here)
    )


def make_environment(python, place, *options):
    """Make a virtual environment, and return its Python."""
    shutil.rmtree(str(place), ignore_errors=True)
    made = subprocess.run(
        [python, "-I", "-m", "venv"] + list(options) + [str(place)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if made.returncode != 0:
        print(made.stdout.decode("utf-8", "replace"), flush=True)
        end("{} cannot make virtual environments: install its module venv (on Debian: python3-venv)".format(python))
    return str(place / "bin" / "python")


@contextmanager
def locked(path):
    """Hold a lock that other processes respect."""
    with open(str(path), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def packages(python):
    """Install the dependencies, and return their virtual environment. Equal dependencies share one."""
    dependencies = JOB["dependencies"]
    if dependencies is None:
        return None
    if dependencies["place"] is not None:
        # Code of the project is installed too, which is another one in each job.
        place = HOME / "environment"
        install(make_environment(python, place), HOME, JOB, **dependencies)
        return place
    version = subprocess.check_output([python, "-I", "-c", "import sys; print(sys.version, sys.prefix)"])
    name = hashlib.sha256(json.dumps([dependencies, JOB["uv"]], sort_keys=True).encode() + version)
    for path in sorted((HOME / "dependencies").rglob("*")):
        if path.is_file():
            name.update(str(path.relative_to(HOME)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    place = Path(os.environ["ALEKSEYLEARN_ENVIRONMENTS"]) / name.hexdigest()[:32]
    with locked(place.with_suffix(".lock")):
        complete = place / "complete"
        if not complete.exists():
            install(make_environment(python, place), HOME, JOB, **dependencies)
            complete.touch()
    return place


def train(signals):
    """Run the script with the runner, and return its exit code."""
    python = interpreter()
    installed = packages(python)
    # The import path is the job's own, the packages are shared.
    own = make_environment(python, HOME / "venv", "--without-pip")
    lines = [str(CODE / folder) for folder in JOB["imports"]] + [str(HOME / "package")]
    if installed is not None:
        lines.insert(0, "import site; site.addsitedir({!r})".format(str(site_packages(installed))))
    write(site_packages(HOME / "venv") / "alekseylearn.pth", "\n".join(lines) + "\n")
    folders = [HOME / "venv" / "bin"] + ([installed / "bin"] if installed is not None else [])
    variables = {name: value for name, value in os.environ.items() if not name.startswith(OF_INSTALLERS)}
    variables.update(
        ALEKSEYLEARN_HOME=str(HOME),
        ALEKSEYLEARN_ML_ROOT=str(ML),
        VIRTUAL_ENV=str(HOME / "venv"),
        PATH=os.pathsep.join([str(folder) for folder in folders] + [variables.get("PATH", os.defpath)]),
    )
    command = [own, "-I", "-S", "-u", str(RUNNER), "train"]
    signals.runner = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=variables)
    return signals.runner.wait()


def site_packages(environment):
    return next(environment.glob("lib/python3*/site-packages"))


def collect():
    """Pack the results, each kind as one archive."""
    sys.path.insert(0, str(RUNNER))
    import leavings

    for place, name in (("model", "model"), ("output/data", "output"), ("checkpoints", "checkpoints")):
        folder = ML / place
        if not folder.is_dir() or not any(folder.iterdir()):
            continue
        draft = JOB_FOLDER / (name + ".tar.gz.part")
        with tarfile.open(str(draft), "w:gz", compresslevel=1) as archive:
            leavings.pack(folder, archive)
        os.replace(str(draft), str(JOB_FOLDER / (name + ".tar.gz")))


def failure():
    """Return the reason that the runner wrote down."""
    try:
        return (ML / "output" / "failure").read_text(encoding="utf-8", errors="replace")[:REASON_LENGTH]
    except OSError:
        return None


def main():
    begun = int(time.time() * 1000)
    reason = None
    try:
        os.setsid()
        signals = Signals()
        unpack()
        code = train(signals)
        reason = failure() if code != 0 else None
        collect()
    except Ended as ended:
        reason, code = ended.args
    except OSError as error:
        reason, code = "cannot train in {}: {}".format(JOB_FOLDER, error), 1
    if reason is not None:
        print("alekseylearn: " + reason.splitlines()[0], flush=True)
    outcome = {"exit_code": code, "reason": reason, "started": begun, "finished": int(time.time() * 1000)}
    write(JOB_FOLDER / "outcome.json.part", json.dumps(outcome))
    os.replace(str(JOB_FOLDER / "outcome.json.part"), str(JOB_FOLDER / "outcome.json"))
    for folder in (HOME, ML):
        shutil.rmtree(str(folder), ignore_errors=True)


JOB = json.loads((JOB_FOLDER / "start.json").read_text(encoding="utf-8"))
main()
