"""Measures how many public repositories `alekseylearn fit` trains at the first try.

`repositories.toml` lists them, with the command that each README gives. For each repository this script checks out the
commit, runs that command in a plain container (the baseline), gives the same command to `alekseylearn fit`, and keeps
in `outcomes.json` what became of both. README.md beside it says what counts, and page.py makes a page of it.

    python3 tests/wild/measure.py --sources MIRRORS --program alekseylearn --base python:3.11-slim
"""

import argparse
import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from container import DATA, PROJECT, container
from listed import OUTCOMES, Repository, keep, outcomes, repositories
from log import Log, quiet, shortened

INSTALL_LIMIT = 1200
"""Seconds that an installation of dependencies may take."""
RUN_LIMIT = 600
"""Seconds that a training may take."""

OF_THE_MACHINE = re.compile(r"PATH|LANG|DOCKER_HOST|TMPDIR|(PIP|UV)_.*|.*_(CERT|CA_BUNDLE)|SSL_CERT_.*|(?i:.*_proxy)")
"""The variables by which this machine reaches its engine and its networks; a new user has these and no others."""
CACHES = re.compile(r"(^|/)(\.git|__pycache__|\.ipynb_checkpoints|\.cache)/|\.pyc$")
"""Files that nobody would miss."""


@dataclass
class Ran:
    """What became of one run."""

    works: bool
    seconds: float
    why: str = ""
    """In a few words, why it did not work."""


def git_folder(sources: Path, name: str) -> Path | None:
    """The git folder of a repository: of a mirror or a checkout at `owner/name`, `owner+name` or `name`."""
    for spelling in (name, name.replace("/", "+"), name.split("/")[1]):
        for git in (f"{spelling}/.git", spelling, f"{spelling}.git", f"{spelling}/repo/.git", f"{spelling}/repo"):
            if (sources / git / "objects").is_dir():
                return (sources / git).resolve()
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
    subprocess.run([*run, "checkout-index", "--all", "--force"], check=False, capture_output=True)
    # A mirror may lack its biggest files: they are there without their content, as in a clone without Git LFS.
    for name in filter(None, quiet([*run, "ls-files", "-z", "--deleted"]).split("\0")):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).touch()


def lacking(repository: Repository, names: Iterable[str]) -> list[str]:
    """Which of the files that the training is for are none of these."""
    last = [Path(name).name for name in names]
    there = lambda pattern: any(fnmatch.filter(last, Path(either).name) for either in pattern.split("|"))  # noqa: E731
    return [pattern for pattern in repository.writes if not there(pattern)]


def baseline(repository: Repository, checkout: Path, options: argparse.Namespace, log: Log) -> Ran:
    """Runs the README's command in a plain container."""
    started = time.monotonic()
    ran = lambda why: Ran(not why, time.monotonic() - started, why)  # noqa: E731
    with container(options.container, options.base, checkout, repository.importable, log) as fresh:
        for channel, place in repository.inputs.items():
            fresh.run(f"mkdir -p {DATA}; cp -r {PROJECT}/{shlex.quote(place)} {DATA}/{channel}", 60)
        if status := fresh.run(repository.install, INSTALL_LIMIT, repository.folder):
            return ran(f"cannot be installed: {log.last_line(status)}")
        fresh.run("sleep 1; touch /home/started; sleep 1", 60)
        command = f"{repository.before}\n{repository.command}"
        if status := fresh.run(command, RUN_LIMIT, repository.folder):
            return ran(log.last_line(status))
        names = [name for name in fresh.written() if not CACHES.search(name)]
    for name in names:
        log.note(f"wrote {name}")
    missing = lacking(repository, names)
    return ran(f"has not written {', '.join(missing)}" if missing else "")


def prepare(repository: Repository, checkout: Path, options: argparse.Namespace, log: Log) -> None:
    """Runs at home what the README says to run before the training."""
    with container(options.container, options.base, checkout, repository.importable, log) as fresh:
        fresh.run(repository.install, INSTALL_LIMIT, repository.folder)
        fresh.run(repository.before, RUN_LIMIT, repository.folder)
        fresh.bring_home(checkout)


def fit(arguments: Iterable[str], repository: Repository, checkout: Path, options: argparse.Namespace, log: Log) -> Ran:
    """Gives the same command to `alekseylearn fit`, as a new user."""
    if repository.before:
        prepare(repository, checkout, options, log)
    home, out = log.path.parent / "home", log.path.parent / "out"
    for folder in (home, out):
        shutil.rmtree(folder, ignore_errors=True)
    home.mkdir(parents=True)
    arguments = [argument.replace("{root}", str(checkout)) for argument in arguments]
    before = arguments.index("--") if "--" in arguments else len(arguments)
    given = [f"--config.base_image={options.base}", "--fetch", str(out)]
    command = [options.program, "fit", *arguments[:before], *given, *arguments[before:]]
    environment = {name: value for name, value in os.environ.items() if OF_THE_MACHINE.fullmatch(name)}
    # That every new user compiles the drivers once is none of the question.
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(options.work / "cache")}
    images = set(built_images())
    started = time.monotonic()
    try:
        status = log.run(command, INSTALL_LIMIT + RUN_LIMIT, cwd=checkout / repository.folder, env=environment)
    finally:
        if not options.keep_images:
            remove_images(images, log)
    seconds = time.monotonic() - started
    if status:
        return Ran(False, seconds, complaint(log, status))
    names = [str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()]
    for name in names:
        log.note(f"brought {name}")
    missing = lacking(repository, names)
    return Ran(not missing, seconds, f"has not brought {', '.join(missing)}" if missing else "")


def built_images() -> list[str]:
    """The images in the engine, each as `name:tag`."""
    return quiet(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"]).splitlines()


def remove_images(others: set[str], log: Log) -> None:
    """Removes the images that the run of this log built, and none of the others."""
    named = set(re.findall(r"Building the image (\S+)", log.path.read_text()))
    mine = [image for image in built_images() if image not in others and image.rsplit(":", 1)[0] in named]
    if mine:
        subprocess.run(["docker", "rmi", *mine], check=False, capture_output=True)


def complaint(log: Log, status: int) -> str:
    """What `fit` said was wrong: its error, and the hint."""
    said = [line.strip() for line in log.lines() if re.match(r"error:|\s*hint:", line)]
    return shortened(" ".join(said[-2:])) if said and status != 124 else log.last_line(status)


def measure(repository: Repository, known: dict, options: argparse.Namespace) -> dict:
    """What became of one repository. What is known is not run again, unless it is asked for."""
    if repository.unfit:
        return {"baseline": {"works": False, "why": repository.unfit}}
    git = git_folder(options.sources, repository.name)
    if git is None:
        print(f"{repository.name}: not in {options.sources}", file=sys.stderr)
        return known
    outcome = {} if options.again == "all" else dict(known)
    work = options.work / repository.name.replace("/", "+")

    def run(what: str, action) -> None:
        check_out(git, repository.commit, work / "checkout")
        print(f"{repository.name}: {what} …", end=" ", flush=True)
        ran = action(work / "checkout", options, Log(work / f"{what}.log"))
        print("works" if ran.works else ran.why, f"({ran.seconds:.0f} s)", flush=True)
        outcome[what] = {"works": ran.works, "seconds": round(ran.seconds), "on": date.today().isoformat()}
        if ran.why:
            outcome[what]["why"] = ran.why

    if "baseline" not in outcome and not options.no_baseline:
        run("baseline", lambda *given: baseline(repository, *given))
    if options.no_fit or not outcome.get("baseline", {}).get("works", options.no_baseline):
        return outcome
    again = options.again == "fit" or options.again == "failed" and not outcome.get("first", {}).get("works")
    if again or "first" not in outcome:
        outcome.pop("after", None)
        run("first", lambda *given: fit(repository.fit or [repository.path], repository, *given))
    if repository.after and not outcome["first"]["works"] and "after" not in outcome:
        run("after", lambda *given: fit(repository.after, repository, *given))
    shutil.rmtree(work / "checkout", ignore_errors=True)
    return outcome


def main() -> None:
    """Measures, and saves each outcome as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = parser.add_argument
    option("--sources", type=Path, required=True, help="folder of checkouts or mirrors: owner/name, owner+name or name")
    option("--program", default="alekseylearn", help="program to measure (default: %(default)s)")
    option("--base", default="python:3.11-slim", help="Python image to build on (default: %(default)s)")
    option("--work", type=Path, default=Path("/tmp/alekseylearn-wild"), help="folder for logs (default: %(default)s)")
    option("--only", action="append", default=[], metavar="NAME", help="only repositories whose name contains this")
    option("--no-baseline", action="store_true", help="run no baseline, and try `fit` whatever it would be")
    option("--no-fit", action="store_true", help="run the baselines alone")
    option("--again", choices=["all", "fit", "failed"], help="run again: all, `fit`, or `fit` where it failed")
    option("--keep-images", action="store_true", help="leave the images that `fit` builds in the engine")
    option("--container", default="alekseylearn-wild", help="name of the baselines' container (default: %(default)s)")
    option("--outcomes", type=Path, default=OUTCOMES, help="file of the outcomes (default: beside this script)")
    options = parser.parse_args()
    options.work = options.work.resolve()
    found = outcomes(options.outcomes)
    for repository in repositories():
        if options.only and not any(part in repository.name for part in options.only):
            continue
        found[repository.name] = measure(repository, found.get(repository.name, {}), options)
        keep(found, options.outcomes)


if __name__ == "__main__":
    main()
