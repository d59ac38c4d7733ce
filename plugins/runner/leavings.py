"""Collects a job's results when its script has ended, and reports them."""

import json
import tarfile
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from job import Job
from links import remove_odd, straighten
from roots import Roots
from written import Snapshot, bring, chosen, is_empty, left_in, readable, size_text, some_of

# How many files of each kind of results are named: they must fit into one log line.
LISTED = 10
LONGEST_NAME = 200
# The host hides a line with this prefix, and parses the JSON after it.
MARK = "alekseylearn: left "


def gather(job: Job, roots: Roots, before: Snapshot, well: bool) -> List[str]:
    """Complete the results, and return lines that report them.

    Files that a successful script wrote into its code are its model, unless the
    model folder has files or the user chose others. A failed script's files go to
    the output data.

    Raises OSError if they cannot be kept.
    """
    written = [(file.name, roots.code / file.name) for file in before.since(roots.code)]
    said = []  # type: List[str]
    if well:
        said = _complete_model(job, roots, written)
    else:
        kept = [(name, path) for name, path in written if not (roots.output_data / name).exists()]
        bring(kept, roots.output_data)
        if kept:
            said.append("saved the script's files as output data: {}".format(_listed(kept)))
    for folder in (roots.model, roots.output_data):
        straighten(folder, roots.input)
        odd = remove_odd(folder)
        if odd:
            said.append("not kept, because they are not files or folders: {}".format(some_of(odd)))
    return said


def manifest(roots: Roots) -> str:
    """Return the line that reports the job's results to the host."""
    kinds = {"model": roots.model, "output-data": roots.output_data, "checkpoints": roots.checkpoints}
    left = {kind: _summary(left_in(folder)) for kind, folder in kinds.items()}
    return MARK + json.dumps({kind: summary for kind, summary in left.items() if summary["files"]})


def pack(folder: Path, archive: tarfile.TarFile) -> None:
    """Add everything below a folder to an archive."""
    for path in sorted(folder.iterdir()):
        archive.add(str(path), arcname=path.name)


def _complete_model(job: Job, roots: Roots, written: Sequence[Tuple[str, Path]]) -> List[str]:
    said = []
    if job.model:
        files, unmatched = chosen(job.model, job.working_folder(roots), roots.code)
        bring(files, roots.model)
        if files:
            said.append("the model is {}".format(_listed(files)))
        for pattern in unmatched:
            what = "the script wrote {}".format(some_of([name for name, _ in written]) or "nothing")
            said.append("--model {} matches no file; {}".format(readable(pattern), what))
    if not is_empty(roots.model):
        return said
    notebook = roots.output_data / Path(job.artifact).name
    executed = []
    if job.kind == "notebook" and notebook.is_file():
        executed.append((job.artifact, notebook))
    files = list(written) + executed
    bring(files, roots.model)
    if written:
        said.append("the model is what the script wrote: {}".format(_listed(files)))
    elif executed:
        said.append("the notebook saved no model; the executed notebook is kept: {}".format(job.artifact))
    return said


def _listed(files: Sequence[Tuple[str, Path]]) -> str:
    size = sum(path.stat().st_size for _, path in files if path.exists())
    count = "1 file" if len(files) == 1 else "{} files".format(len(files))
    return "{}, {}: {}".format(count, size_text(size), some_of([name for name, _ in files]))


def _summary(files: Sequence[Tuple[str, int]]) -> Dict[str, Any]:
    first = [[readable(name)[:LONGEST_NAME], size] for name, size in files[:LISTED]]
    return {"files": len(files), "bytes": sum(size for _, size in files), "first": first}
