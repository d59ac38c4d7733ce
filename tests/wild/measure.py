"""Measures how many public repositories `alekseylearn fit` trains at the first try.

`repositories.toml` lists them, with the command that each README gives. For each repository this script checks out the
commit, runs that command in a plain container (the baseline), gives the same command to `alekseylearn fit`, and keeps
in `outcomes.json` what became of both. README.md beside it says what counts.

    python3 tests/wild/measure.py --sources MIRRORS --program alekseylearn --base python:3.11-slim
"""

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIST = HERE / "repositories.toml"
OUTCOMES = HERE / "outcomes.json"

INSTALL_LIMIT = 1200
"""Seconds that an installation of dependencies may take."""
RUN_LIMIT = 600
"""Seconds that a training may take."""

PROJECT = "/root/project"
"""Where a checkout lies in the container of a baseline."""
DATA = "/opt/ml/input/data"
"""Where a training service puts the data that a repository's README gives to it."""
CERTIFICATES = "/etc/ssl/certs/measure.crt"

OF_THE_MACHINE = re.compile(r"PATH|LANG|DOCKER_HOST|TMPDIR|(PIP|UV)_.*|.*_(CERT|CA_BUNDLE)|SSL_CERT_.*|(?i:.*_proxy)")
"""The variables by which this machine reaches its engine and its networks; a new user has these and no others."""
CACHES = re.compile(r"(^|/)(\.git|__pycache__|\.ipynb_checkpoints|\.cache|\.ruff_cache)/|\.pyc$")
"""Files that nobody would miss."""


@dataclass(frozen=True)
class Repository:
    """One entry of the list."""

    name: str
    """`owner/name` on GitHub."""
    commit: str
    kind: str
    """The way in which it is written, such as `src layout`."""
    path: str
    """The file that trains, from the repository's root."""
    command: str
    """What the README says to run, as training alone: without `uv run` and the like."""
    install: str = ""
    """What the README says to install: dependencies only. The code itself is put on the import path, never built."""
    folder: str = ""
    """The folder to stand in, from the repository's root."""
    importable: tuple[str, ...] = ()
    """The folders that an installation of the repository would make importable."""
    writes: tuple[str, ...] = ()
    """Patterns of the files that the training is for, each of which must come home. `a|b` is either."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Folders of data by channel, where the README has a service put them under `/opt/ml/input/data`."""
    fit: tuple[str, ...] = ()
    """The arguments of `alekseylearn fit` that say the same as `command` (default: `path`); `{root}` is the checkout."""
    after: tuple[str, ...] = ()
    """The arguments after the one message that the first try ended with was followed."""
    unfit: str = ""
    """Why no baseline can work, such as `needs data: …`; then nothing is run."""


@dataclass
class Ran:
    """What became of one run."""

    works: bool
    seconds: float
    why: str = ""
    """In a few words, why it did not work."""


class Log:
    """A file that takes all output of one run."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        path.write_text("")

    def run(self, command: list[str], limit: float, **options) -> int:
        """Runs a command, its output at the end of the log. Returns its exit status, 124 past the limit."""
        with self.path.open("ab") as file:
            file.write(f"$ {shlex.join(command)}\n".encode())
            file.flush()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, **options
            )
            try:
                return process.wait(limit)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait(60)
                return 124

    def lines(self) -> list[str]:
        """What the commands wrote."""
        text = self.path.read_text(errors="replace")
        return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("$ ")]


def quiet(command: list[str]) -> str:
    """The output of a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


def repositories() -> list[Repository]:
    """The list."""
    found = []
    for entry in tomllib.loads(LIST.read_text())["repository"]:
        lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
        found.append(Repository(**{**entry, **lists}))
    return found


def git_folder(sources: Path, name: str) -> Path | None:
    """The git folder of a repository: a mirror or a checkout, at `owner/name`, `owner+name` or `name`."""
    for spelling in (name, name.replace("/", "+"), name.split("/")[1]):
        for inside in (".git", "", "repo/.git", "repo", "../" + Path(spelling).name + ".git"):
            folder = sources / spelling / inside
            if (folder / "objects").is_dir():
                return folder.resolve()
    return None


def check_out(git: Path, commit: str, to: Path) -> None:
    """Makes a clean checkout as `git clone` would, which borrows the objects of `git`."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    run = ["git", "-C", str(to)]
    quiet([*run, "init", "--quiet", "--initial-branch=main"])
    (to / ".git/objects/info/alternates").write_text(f"{git / 'objects'}\n")
    quiet([*run, "update-ref", "HEAD", commit])
    quiet([*run, "read-tree", "HEAD"])
    # A mirror may lack its biggest files: then these are missing, as in a clone without Git LFS.
    subprocess.run([*run, "checkout-index", "--all", "--force"], check=False, capture_output=True)


def inside(container: str, script: str, log: Log, limit: float) -> int:
    """Runs a shell script in a container."""
    return log.run(["docker", "exec", container, "bash", "-c", f"set -e\n{script}"], limit)


def baseline(repository: Repository, checkout: Path, base: str, log: Log) -> Ran:
    """Runs the README's command in a plain container."""
    container = f"alekseylearn-wild-{os.getpid()}"
    started = time.monotonic()
    environment = [f"--env={name}" for name in os.environ if re.fullmatch("(PIP|UV)_.*|(?i:.*_proxy)", name)]
    certificates = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT")
    if certificates:
        environment += [f"--volume={certificates}:{CERTIFICATES}:ro"]
        bundles = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
        environment += [f"--env={name}={CERTIFICATES}" for name in bundles]
    # Nobody imports most of what is installed.
    environment += ["--env=PIP_NO_COMPILE=1"]
    places = ":".join(f"{PROJECT}/{folder}".rstrip("/") for folder in repository.importable)
    environment += [f"--env=PYTHONPATH={places}"] if places else []
    folder = shlex.quote(f"{PROJECT}/{repository.folder}")
    quiet(["docker", "run", "--detach", "--name", container, "--init", *environment,
           "--volume=alekseylearn-wild-pip:/root/.cache", base, "sleep", "infinity"])  # fmt: skip
    try:
        quiet(["docker", "cp", str(checkout), f"{container}:{PROJECT}"])
        for channel, place in repository.inputs.items():
            inside(container, f"mkdir -p {DATA}; cp -r {PROJECT}/{shlex.quote(place)} {DATA}/{channel}", log, 60)
        inside(container, "mkdir -p /opt/ml/model /opt/ml/output /opt/ml/input/config; "
               "echo '{}' > /opt/ml/input/config/hyperparameters.json", log, 60)  # fmt: skip
        if repository.install and (status := inside(container, f"cd {folder}\n{repository.install}", log, INSTALL_LIMIT)):
            return Ran(False, time.monotonic() - started, f"cannot be installed: {last_line(log, status)}")
        inside(container, "sleep 1; touch /root/started; sleep 1", log, 60)
        status = inside(container, f"cd {folder}\n{repository.command}", log, RUN_LIMIT)
        seconds = time.monotonic() - started
        if status:
            return Ran(False, seconds, last_line(log, status))
        written = quiet(["docker", "exec", container, "find", PROJECT, "/opt/ml", "-newer", "/root/started", "-type", "f"])
        names = [name.removeprefix(f"{PROJECT}/") for name in written.splitlines()]
        names = [name for name in names if not CACHES.search(name)]
        with log.path.open("a") as file:
            file.write("".join(f"wrote {name}\n" for name in names))
        missing = lacking(repository, names)
        return Ran(not missing, seconds, f"has not written {', '.join(missing)}" if missing else "")
    finally:
        subprocess.run(["docker", "rm", "--force", container], check=False, capture_output=True)


def lacking(repository: Repository, names: Iterable[str]) -> list[str]:
    """Which of the files that the training is for are none of these."""
    last = [Path(name).name for name in names]
    return [
        pattern for pattern in repository.writes
        if not any(fnmatch.filter(last, Path(either).name) for either in pattern.split("|"))
    ]  # fmt: skip


def last_line(log: Log, status: int) -> str:
    """Why a run of a container failed."""
    if status == 124:
        return "took too long"
    lines = [line for line in log.lines() if not re.match(r"\[notice\]|WARNING|hint:|note:|  +", line)]
    return shortened(lines[-1]) if lines else f"ended with {status}"


def shortened(text: str) -> str:
    """One line without what this machine alone has."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"/\S*/checkout", "…", text)
    return text if len(text) < 160 else text[:157] + "…"


def fit(repository: Repository, arguments: Iterable[str], checkout: Path, work: Path, options, log: Log) -> Ran:
    """Gives the same command to `alekseylearn fit`, as a new user."""
    home, out = work / "home", work / "out"
    for folder in (home, out):
        shutil.rmtree(folder, ignore_errors=True)
    home.mkdir(parents=True)
    arguments = [argument.replace("{root}", str(checkout)) for argument in arguments]
    before = arguments.index("--") if "--" in arguments else len(arguments)
    given = [f"--config.base_image={options.base}", "--fetch", str(out)]
    command = [options.program, "fit", *arguments[:before], *given, *arguments[before:]]
    environment = {name: value for name, value in os.environ.items() if OF_THE_MACHINE.fullmatch(name)}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(options.work / "cache")}
    images = set(built_images())
    started = time.monotonic()
    try:
        status = log.run(command, INSTALL_LIMIT + RUN_LIMIT, cwd=checkout / repository.folder, env=environment)
    finally:
        if not options.keep_images:
            mine = [image for image in built_images() if image not in images and image.split()[0] in log.path.read_text()]
            subprocess.run(["docker", "rmi", *(image.split()[0] for image in mine)], check=False, capture_output=True)
    seconds = time.monotonic() - started
    if status:
        return Ran(False, seconds, complaint(log, status))
    names = [str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()] if out.exists() else []
    with log.path.open("a") as file:
        file.write("".join(f"brought {name}\n" for name in names))
    missing = lacking(repository, names)
    return Ran(not missing, seconds, f"has not brought {', '.join(missing)}" if missing else "")


def built_images() -> list[str]:
    """The images in the engine, each as `name:tag id`."""
    return quiet(["docker", "images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]).splitlines()


def complaint(log: Log, status: int) -> str:
    """What `fit` said was wrong."""
    if status == 124:
        return "took too long"
    said = [line for line in log.lines() if re.match(r"error:|  hint:|hint:", line)]
    return shortened(" ".join(part.strip() for part in said[-2:])) if said else last_line(log, status)


def measure(repository: Repository, known: dict, options) -> dict:
    """What became of one repository. What is known is not run again, unless it is asked for."""
    outcome = {} if options.again == "all" else {key: value for key, value in known.items()}
    if repository.unfit:
        return {"baseline": {"works": False, "why": repository.unfit}}
    git = git_folder(options.sources, repository.name)
    if git is None:
        print(f"{repository.name}: not in {options.sources}", file=sys.stderr)
        return outcome
    work = options.work / repository.name.replace("/", "+")
    today = date.today().isoformat()

    def run(what: str, action) -> None:
        checkout = work / "checkout"
        check_out(git, repository.commit, checkout)
        print(f"{repository.name}: {what} …", end=" ", flush=True)
        ran = action(checkout, Log(work / f"{what}.log"))
        print("works" if ran.works else ran.why, f"({ran.seconds:.0f} s)", flush=True)
        outcome[what] = {"works": ran.works, "seconds": round(ran.seconds), "on": today}
        if ran.why:
            outcome[what]["why"] = ran.why

    if "baseline" not in outcome and not options.no_baseline:
        run("baseline", lambda checkout, log: baseline(repository, checkout, options.base, log))
    if options.no_fit or not outcome.get("baseline", {}).get("works", options.no_baseline):
        return outcome
    redo = options.again == "fit" or (options.again == "failed" and not outcome.get("first", {}).get("works"))
    if "first" not in outcome or redo:
        outcome.pop("after", None)
        run("first", lambda checkout, log: fit(repository, repository.fit or (repository.path,), checkout, work, options, log))
    if not outcome["first"]["works"] and repository.after and "after" not in outcome:
        run("after", lambda checkout, log: fit(repository, repository.after, checkout, work, options, log))
    shutil.rmtree(work / "checkout", ignore_errors=True)
    return outcome


def share(part: int, whole: int) -> str:
    """A count and its percentage."""
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "none"


def counts(outcomes: dict) -> dict[str, str]:
    """The figures in words."""
    fair = [outcome for outcome in outcomes.values() if outcome.get("baseline", {}).get("works")]
    tried = [outcome for outcome in fair if "first" in outcome]
    first = sum(outcome["first"]["works"] for outcome in tried)
    after = sum(outcome["first"]["works"] or outcome.get("after", {}).get("works", False) for outcome in tried)
    return {
        "repositories": str(len(outcomes)),
        "work in a plain container": share(len(fair), len(outcomes)),
        "of these, train at the first try": share(first, len(tried)),
        "and after following one message": share(after, len(tried)),
    }


def table(listed: list[Repository], outcomes: dict) -> str:
    """The outcomes as a table in Markdown."""
    rows = ["| repository | kind | command | baseline | first try | after one message |", "|---|---|---|---|---|---|"]
    for repository in listed:
        outcome = outcomes.get(repository.name, {})
        cells = []
        for what in ("baseline", "first", "after"):
            ran = outcome.get(what)
            cells.append("" if ran is None else "works" if ran["works"] else ran.get("why", "fails").replace("|", "\\|"))
        name = f"[{repository.name}](https://github.com/{repository.name}/tree/{repository.commit})"
        rows.append(f"| {name} | {repository.kind} | `{repository.command}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Measures, and prints the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=Path, help="folder of git checkouts or mirrors: owner/name, owner+name or name")
    parser.add_argument("--program", default="alekseylearn", help="the program to measure (default: %(default)s)")
    parser.add_argument("--base", default="python:3.11-slim", help="Python image to build on (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path("/tmp/alekseylearn-wild"), help="folder for logs (default: %(default)s)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="only repositories whose name contains this")
    parser.add_argument("--no-baseline", action="store_true", help="run no baseline, and try `fit` whatever it would be")
    parser.add_argument("--no-fit", action="store_true", help="run the baselines alone")
    parser.add_argument("--again", choices=["all", "fit", "failed"], help="run again what is known: all, `fit`, or only what failed")
    parser.add_argument("--keep-images", action="store_true", help="leave the images that `fit` builds in the engine")
    parser.add_argument("--outcomes", type=Path, default=OUTCOMES, help="where the outcomes are kept (default: beside this script)")
    options = parser.parse_args()
    options.work = options.work.resolve()
    listed = repositories()
    outcomes = json.loads(options.outcomes.read_text()) if options.outcomes.exists() else {}
    for repository in listed if options.sources else []:
        if options.only and not any(part in repository.name for part in options.only):
            continue
        outcomes[repository.name] = measure(repository, outcomes.get(repository.name, {}), options)
        ordered = {one.name: outcomes[one.name] for one in listed if one.name in outcomes}
        options.outcomes.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    outcomes = {one.name: outcomes[one.name] for one in listed if one.name in outcomes}
    print(table(listed, outcomes))
    for what, figure in counts(outcomes).items():
        print(f"{what}: {figure}")


if __name__ == "__main__":
    main()
