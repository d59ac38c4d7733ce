# What Kaggle runs around a training artifact: it brings the training folder and the runner to where the artifact finds
# them on every service, and what the artifact leaves to where Kaggle keeps it.
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
# What was there before a notebook's first cell.
BEFORE = HOME / "before.json"
# Where a dataset lies below /kaggle/input has changed before.
DEEPEST_MOUNT = 5
PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
QUIET = ["--no-cache", "--quiet", "--python", sys.executable]
# Set once the results are where Kaggle keeps them.
KEPT = "ALEKSEYLEARN_KEPT"


def bring():
    """Lay everything out, and install what is asked for."""
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
    # As in an image: the project's modules can be imported from everywhere, after what is installed.
    package = HOME / "package"
    for path, text in JOB["package"].items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text, encoding="utf-8")
    folders = [str(CODE / folder) for folder in JOB["imports"]] + [str(package)]
    places = Path(sysconfig.get_path("purelib")) / "alekseylearn.pth"
    places.write_text("\n".join(folders) + "\n", encoding="utf-8")
    sys.path.extend(folders)


def folder():
    """The training folder as it was packed."""
    if JOB["folder"] is not None:
        return base64.b64decode(JOB["folder"])
    name, digest = JOB["file"], JOB["sha256"]
    for depth in range(1, DEEPEST_MOUNT + 1):
        for path in INPUT.glob("/".join(["*"] * (depth - 1) + [name])):
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != digest:
                end("{} is not what was sent: its checksum is another one".format(path))
            return content
    end("the dataset with the training folder is not below {}: {} is nowhere".format(INPUT, name))


def install(form, file, place, member, extras, groups, added, imported, as_of):
    """Install what the project asks for, into the Python that runs this."""
    inside, place = place, HOME / "dependencies"
    if inside is not None:
        # Code of the project is installed from where it stays.
        shutil.copytree(place, CODE / inside, dirs_exist_ok=True)
        place = CODE / inside

    def run(command, what, folder=HOME):
        code = subprocess.call(command, cwd=str(folder))
        if code != 0:
            end("{} cannot be installed: see what is said before this".format(what), code)

    def uv():
        path = HOME / "uv" / "bin" / "uv"
        if not path.exists():
            run(PIP + ["--target", str(HOME / "uv"), JOB["uv"]], JOB["uv"])
        return str(path)

    def packages(arguments, what, folder=HOME):
        if as_of is None and (form == "none" or form == "requirements" and not file.endswith(".toml")):
            run(PIP + arguments, what, folder)
        else:
            # The others are not for pip to read.
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
        print("alekseylearn: installing what the code imports: {}".format(", ".join(missing)), flush=True)
        packages(missing, ", ".join(missing))


def is_there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:
        # A package above it is missing or broken.
        return False


def train():
    """Run the script by the runner, as in an image."""
    # The log takes whole lines as they come.
    code = subprocess.call([sys.executable, "-I", "-S", "-u", str(RUNNER), "train"])
    keep()
    if code != 0:
        failure = ML / "output" / "failure"
        lines = failure.read_text(encoding="utf-8", errors="replace").splitlines() if failure.exists() else []
        end(lines[0] if lines else "it ended with exit code {}".format(code), code)


def enter():
    """Make a notebook's kernel what the runner makes of it: variables, folder, places to import from."""
    with runner("roots", "job", "environment", "written") as (roots, job, environment, written):
        places = roots.Roots.from_environment()
        places.make_output_folders()
        read = job.read_job(places)
        os.environ.update(environment.script_environment(read, places))
        written.Snapshot.of(CODE).save(BEFORE)
        os.chdir(str(read.working_folder(places)))
    sys.path.insert(1, os.getcwd())
    # Where a cell fails, the last one is never run.
    atexit.register(lambda: KEPT in os.environ or leave(well=False))


@contextlib.contextmanager
def runner(*names):
    """Some of the runner's modules, for a moment: modules of the user's may have the same names."""
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
            print("alekseylearn: what the notebook wrote cannot be kept: {}".format(error.strerror or error))
        print(leavings.manifest(places), flush=True)
    keep()


def keep():
    """Pack what the artifact left, as one archive each."""
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
