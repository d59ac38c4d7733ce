# What Kaggle runs around a training artifact. It puts the project and the runner where they are on every service, and
# the results where Kaggle keeps them.
import atexit
import base64
import contextlib
import hashlib
import importlib
import importlib.util
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
PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
QUIET = ["--no-cache", "--quiet", "--python", sys.executable]
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
        install(**JOB["dependencies"])
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


def install(form, file, place, member, extras, groups, added, imported, as_of):
    """Install the dependencies into the Python that runs this."""
    inside, place = place, HOME / "dependencies"
    if inside is not None:
        # The project's own packages are installed from their place in the project.
        shutil.copytree(place, CODE / inside, dirs_exist_ok=True)
        place = CODE / inside

    def run(command, what, folder=HOME):
        code = subprocess.call(command, cwd=str(folder))
        if code != 0:
            end("cannot install {}: see the output above".format(what), code)

    def uv():
        path = HOME / "uv" / "bin" / "uv"
        if not path.exists():
            run(PIP + ["--target", str(HOME / "uv"), JOB["uv"]], JOB["uv"])
        return str(path)

    def packages(arguments, what, folder=HOME):
        if as_of is None and (form == "none" or form == "requirements" and not file.endswith(".toml")):
            run(PIP + arguments, what, folder)
        else:
            # pip cannot read the other forms.
            start = [uv(), "pip", "install"] + QUIET + ["--break-system-packages"]
            run(start + (["--exclude-newer", as_of] if as_of is not None else []) + arguments, what, folder)

    if form != "none":
        print("alekseylearn: installing {}".format(file), flush=True)
        folder, listed = (place / file).parent, file
        arguments = []
        if form in ("uv-lock", "poetry"):
            listed = str(HOME / "locked-requirements.txt")
        if form == "uv-lock":
            export = ["--frozen", "--no-default-groups", "--no-emit-project", "--output-file", listed]
            export += [word for name in extras for word in ("--extra", name)]
            export += [word for name in groups for word in ("--group", name)]
            if member is not None:
                export += ["--package", member]
            run([uv(), "export"] + QUIET + export, file, folder)
        if form == "poetry":
            os.environ["POETRY_VIRTUALENVS_CREATE"] = "false"
            tool, plugin = JOB["poetry"]
            poetry = [uv(), "tool", "run"] + QUIET + ["--from", tool, "--with", plugin, "poetry", "--no-interaction"]
            if not file.endswith(".lock"):
                run(poetry + ["lock"], file, folder)
            export = ["--only", ",".join(["main"] + groups), "--output", listed]
            export += [word for name in extras for word in ("--extras", name)]
            run(poetry + ["export"] + export, file, folder)
        if form == "pyproject":
            arguments += [word for name in extras for word in ("--extra", name)]
            arguments += [word for name in groups for word in ("--group", "{}:{}".format(file, name))]
        packages(arguments + ["--requirement", listed], file, place)
    if added:
        print("alekseylearn: installing {}".format(", ".join(added)), flush=True)
        packages(added, ", ".join(added))
    importlib.invalidate_caches()
    missing = sorted({requirement for module, requirement in imported if not is_there(module)})
    if missing:
        print("alekseylearn: installing imported packages: {}".format(", ".join(missing)), flush=True)
        packages(missing, ", ".join(missing))


def is_there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:
        # A package above it is missing or broken.
        return False


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
