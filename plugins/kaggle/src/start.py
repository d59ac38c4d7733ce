# What Kaggle runs around a training artifact. It puts the project and the runner where they are on every service, and
# the results where Kaggle keeps them.
import atexit
import base64
import contextlib
import hashlib
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zlib
from pathlib import Path

HOME = Path("/opt/alekseylearn")
ML = Path("/opt/ml")
CODE = HOME / "code"
RUNNER = HOME / "runner"
WORKING = Path("/kaggle/working")
INPUT = Path("/kaggle/input")
# The files that existed before a notebook's first cell.
BEFORE = HOME / "before.json"
# Kaggle has changed the place of datasets below /kaggle/input before.
DEEPEST_MOUNT = 5
# Set once the results are where Kaggle keeps them.
KEPT = "ALEKSEYLEARN_KEPT"


def bring():
    """Unpack everything, and install the dependencies."""
    if HOME.exists():
        shutil.rmtree(HOME)
    RUNNER.mkdir(parents=True)
    for name, text in json.loads(zlib.decompress(base64.b64decode(JOB["runner"]))).items():
        (RUNNER / name).write_text(text, encoding="utf-8")
    with tarfile.open(fileobj=io.BytesIO(folder()), mode="r:gz") as archive:
        archive.extractall(HOME)
    (HOME / "artifact.json").write_text(json.dumps(JOB["description"]), encoding="utf-8")
    config = ML / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text(json.dumps(JOB["hyperparameters"]), encoding="utf-8")
    os.environ["TRAINING_JOB_NAME"] = JOB["name"]
    os.environ.update([JOB["arguments"]])
    os.environ.update(JOB["told"])
    os.environ.update(JOB["environment"])
    if JOB["dependencies"] is not None:
        install(sys.executable, HOME, JOB, **JOB["dependencies"])
        importlib.invalidate_caches()
    # As in an image, the project's modules are on the import path, after the installed packages.
    package = HOME / "package"
    for path, text in JOB["package"].items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text, encoding="utf-8")
    folders = [str(CODE / folder) for folder in JOB["imports"]] + [str(package)]
    places = Path(sysconfig.get_path("purelib")) / "alekseylearn.pth"
    places.write_text("\n".join(folders) + "\n", encoding="utf-8")
    sys.path.extend(folders)


def folder():
    """Return the packed project."""
    if JOB["folder"] is not None:
        return base64.b64decode(JOB["folder"])
    name, digest = JOB["file"], JOB["sha256"]
    for depth in range(1, DEEPEST_MOUNT + 1):
        for path in INPUT.glob("/".join(["*"] * (depth - 1) + [name])):
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != digest:
                end("{} is damaged: its checksum does not match".format(path))
            return content
    end("the project's dataset is not attached: found no {1} below {0}".format(INPUT, name))


def train():
    """Run the script with the runner, as in an image."""
    # Unbuffered, because the log shows each line as soon as it is complete.
    code = subprocess.call([sys.executable, "-I", "-S", "-u", str(RUNNER), "train"])
    keep()
    if code != 0:
        failure = ML / "output" / "failure"
        lines = failure.read_text(encoding="utf-8", errors="replace").splitlines() if failure.exists() else []
        end(lines[0] if lines else "exited with code {}".format(code), code)


def enter():
    """Prepare a notebook's kernel as the runner does: variables, folder, import path."""
    with runner("roots", "job", "environment", "written") as (roots, job, environment, written):
        places = roots.Roots.from_environment()
        places.make_output_folders()
        read = job.read_job(places)
        os.environ.update(environment.script_environment(read, places))
        written.Snapshot.of(CODE).save(BEFORE)
        os.chdir(str(read.working_folder(places)))
    sys.path.insert(1, os.getcwd())
    # If a cell fails, the last cell never runs.
    atexit.register(lambda: KEPT in os.environ or leave(well=False))


@contextlib.contextmanager
def runner(*names):
    """Import some of the runner's modules temporarily: the user's modules may have the same names."""
    own = {path.stem for path in RUNNER.glob("*.py")} - {"__main__"}
    others = {name: sys.modules.pop(name) for name in own if name in sys.modules}
    sys.path.insert(0, str(RUNNER))
    try:
        yield [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(RUNNER))
        for name in own:
            sys.modules.pop(name, None)
        sys.modules.update(others)


def leave(well=True):
    """Do for a notebook's results what the runner does for a script's."""
    os.environ[KEPT] = "yes"
    with runner("roots", "job", "written", "leavings") as (roots, job, written, leavings):
        places = roots.Roots.from_environment()
        try:
            for line in leavings.gather(job.read_job(places), places, written.Snapshot.load(BEFORE), well):
                print("alekseylearn: " + line)
        except OSError as error:
            print("alekseylearn: cannot keep the notebook's files: {}".format(error.strerror or error))
        print(leavings.manifest(places), flush=True)
    keep()


def keep():
    """Pack the model and the output data, each as one archive."""
    with runner("leavings") as (leavings,):
        for place, name in ((ML / "model", "model.tar.gz"), (ML / "output" / "data", "output.tar.gz")):
            if not place.is_dir() or not any(place.iterdir()):
                continue
            draft = WORKING / (name + ".part")
            with tarfile.open(str(draft), "w:gz", compresslevel=1) as archive:
                leavings.pack(place, archive)
            os.replace(str(draft), str(WORKING / name))


def end(reason, code=1):
    # The driver reads this line.
    print("alekseylearn: the training failed with exit code {}: {}".format(code, reason), flush=True)
    sys.exit(code)


STEPS = {"train": [bring, train], "enter": [bring, enter], "keep": [leave]}
for step in STEPS[JOB["step"]]:
    step()
