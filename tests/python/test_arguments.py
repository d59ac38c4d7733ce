"""What is given in Python, as the program's command line and back."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import alekseylearn
import pytest
from alekseylearn._arguments import Training, settings, training
from alekseylearn._errors import BY_KIND
from alekseylearn._events import FINAL_STATES, LiveMetrics, Record
from alekseylearn._run import Run, Story
from conftest import Write


def test_options_are_written_as_one_would_type_them() -> None:
    config = {
        "hyperparameters": {"epochs": 10, "rate": 1e-3, "fp16": None, "layers": [64, 32], "amp": True},
        "system_packages": ["libgl1", "ffmpeg"],
        "request": {"Tags": [{"Key": "team"}]},
        "input.train": Path("data"),
        "spot": False,
        "profile": None,
    }
    assert list(settings(config)) == [
        "--config=hyperparameters.epochs=10",
        "--config=hyperparameters.rate=0.001",
        "--config=hyperparameters.fp16",
        "--config=hyperparameters.layers=[64, 32]",
        "--config=hyperparameters.amp=true",
        "--config=system_packages=libgl1,ffmpeg",
        '--config=request.Tags=[{"Key": "team"}]',
        "--config=input.train=data",
        "--config=spot=false",
    ]


def test_a_path_is_never_taken_for_an_option() -> None:
    words, arguments = training(
        "-x.py", Training(args=["--epochs", 3], packages="tqdm>=4", detect=False, root=Path("-r"))
    )
    assert words == ["./-x.py", "--root=-r", "--with=tqdm>=4", "--no-detect"]
    assert arguments == ["--epochs", "3"]


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(alekseylearn.InvalidError, match="a path or a module"):
        alekseylearn.fit()
    with pytest.raises(ValueError, match="a path or a module"):
        alekseylearn.fit("train.py", module="train")
    with pytest.raises(alekseylearn.InvalidError, match="args is one text"):
        alekseylearn.fit("train.py", args="--epochs 3")
    with pytest.raises(TypeError, match="epochs"):
        alekseylearn.check("train.py", epochs=3)  # type: ignore[call-arg]


def test_kinds_and_states_are_those_of_the_programs_schema() -> None:
    schema = Run(["schema"]).finish()
    events = schema["$defs"]["event"]["oneOf"]
    error = next(event for event in events if event["properties"]["event"]["const"] == "error")
    assert set(BY_KIND) == set(error["properties"]["kind"]["enum"])
    assert set(FINAL_STATES) < set(schema["$defs"]["state"]["enum"])


def test_an_error_is_an_exception_of_its_kind_with_its_hint() -> None:
    with pytest.raises(alekseylearn.NotFoundError) as caught:
        alekseylearn.fit("missing.py")
    error = caught.value
    assert (error.kind, error.exit_code) == ("not-found", 4)
    assert error.hint is not None and error.hint in str(error)
    with pytest.raises(alekseylearn.InvalidError):
        alekseylearn.jobs(status="asleep")


def test_an_error_of_an_unknown_kind_is_an_error_still() -> None:
    story = Story()
    story.hear({"event": "error", "kind": "new", "message": "no", "hint": None, "details": None, "exit_code": 12})
    story.hear({"event": "unheard-of"})
    assert type(story.error) is alekseylearn.AlekseylearnError


def test_the_program_is_the_one_of_the_variable_or_that_on_the_path(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALEKSEYLEARN_PROGRAM", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(alekseylearn.ProgramNotFoundError, match="not installed"):
        alekseylearn.program()
    other = write("bin/alekseylearn", "#!/bin/sh\n")
    other.chmod(other.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(other.parent))
    assert alekseylearn.program() == str(other)
    monkeypatch.setenv("ALEKSEYLEARN_PROGRAM", "/missing")
    with pytest.raises(alekseylearn.ProgramNotFoundError, match="ALEKSEYLEARN_PROGRAM"):
        alekseylearn.program()


def test_a_program_that_talks_nonsense_or_dies_is_an_error(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for script, why in [
        ('echo \'{"event": "stage"}\'', "cannot understand"),
        ("echo oops >&2; exit 7", "exit code 7"),
        ('printf \'{"event": "sta\'; kill -9 $$', "SIGKILL"),
        ("exit 0", "named no job"),
    ]:
        program = write("program", f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setenv("ALEKSEYLEARN_PROGRAM", str(program))
        with pytest.raises(alekseylearn.FailedError, match=why):
            alekseylearn.fit("train.py")


def test_times_of_the_record_are_read_by_every_python() -> None:
    data = {
        "name": "a",
        "tag": "t",
        "artifact": "x.py",
        "root": None,
        "arguments": [],
        "driver": "local",
        "options": [["k", "v"]],
        "state": "completed",
        "reason": None,
        "created": "2026-01-31T12:00:00.123456789Z",
        "finished": "2026-01-31T12:00:01Z",
        "billable_seconds": None,
        "cost_usd": None,
    }
    record = Record.of(data)
    assert record.finished is not None
    assert (record.finished - record.created).total_seconds() == 1 - 0.123456


def test_live_metrics_have_a_point_for_each_event_with_a_new_value() -> None:
    live = LiveMetrics()
    for count, last in [(1, 0.5), (1, 0.5), (3, 0.25), (4, None)]:
        live.hear([{"name": "loss", "count": count, "last": last, "best": 0.25, "min": 0.25, "max": 0.5}])
    metric = live.metrics()["loss"]
    assert [value for _, value in metric.points] == [0.5, 0.25]
    assert (metric.count, metric.last, metric.best) == (4, None, 0.25)


def test_the_package_is_importable_without_what_is_optional() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['pandas', 'IPython', 'typing_extensions']))\n"
        "import alekseylearn; print(len(alekseylearn.Metrics()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert done.stdout == "0\n", done.stderr


def test_a_redrawn_line_is_written_over_by_the_next_of_its_node() -> None:
    story = Story()
    for text, redrawn in [("1 %", True), ("2 %", True), ("done", False), ("next", False)]:
        event = {"event": "log", "job": "a", "node": "n", "time": None, "text": text, "redrawn": redrawn}
        story.hear(json.loads(json.dumps(event)))
    assert list(story.tail) == ["done", "next"]
