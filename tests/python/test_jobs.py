"""Jobs of the local driver, from their submission to their model."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import alekseylearn
import pytest
from alekseylearn import aio
from conftest import FOR_EVER, TRAIN, Write


def test_a_script_is_trained_followed_and_fetched(write: Write, config: dict[str, Any], work: Path) -> None:
    write("train.py", TRAIN)
    job = alekseylearn.fit("train.py", args=["--epochs", 3], config=config)
    lines = list(job.logs())
    assert [line.text for line in lines] == ["loss=1.0", "loss=0.5", "loss=0.3333333333333333"]
    assert all(line.time is not None and not line.redrawn for line in lines)
    assert job.wait() is job
    assert job.wait(timeout=60) is job, "it can be asked again"

    loss = job.metrics["loss"]
    assert (loss.count, loss.last, loss.best) == (3, 1 / 3, 1 / 3)
    frame = job.metrics.to_pandas()
    assert list(frame["value"]) == [1.0, 0.5, 1 / 3]
    assert list(frame["step"]) == [0, 1, 2]
    assert str(frame["time"].dtype).endswith("UTC]")

    status = job.status
    assert (status.state, status.ended, status.exit_code) == ("completed", True, 0)
    assert status.arguments == ("--epochs", "3")
    assert status.results is not None and status.results.model.first == (("model.txt", 10),)

    [model] = job.fetch("out")
    assert model == work / "out" / "model.txt"
    assert model.read_text() == "--epochs 3"
    with pytest.raises(alekseylearn.ConflictError):
        job.fetch("out")
    assert job.fetch("out", overwrite=True) == [model]


def test_a_secret_reaches_the_script_and_no_log(
    write: Write, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("train.py", "import os\nprint('the key is', os.environ['SERVICE_KEY'], len(os.environ['SERVICE_KEY']))\n")
    monkeypatch.setenv("SERVICE_KEY", "not-to-be-seen")
    job = alekseylearn.fit("train.py", config=config, secrets=["SERVICE_KEY"])
    assert [line.text for line in job.logs()] == ["the key is *** 14"]
    job.wait()


def test_a_job_is_found_by_another_process(write: Write, config: dict[str, Any]) -> None:
    write("train.py", TRAIN)
    alekseylearn.fit("train.py", config=config).wait()
    before = datetime.now(timezone.utc) - timedelta(hours=1)
    [found] = alekseylearn.jobs(status=["completed", "failed"], driver="local", since=before)
    assert found.record is not None
    assert found.record.tag == "work/train"
    assert before < found.record.created
    again = alekseylearn.Job("work/train").wait()
    assert again.metrics["loss"].count == 3
    assert alekseylearn.jobs(status="failed") == []
    assert alekseylearn.jobs("other/train") == []


def test_a_script_that_fails_raises_with_its_traceback(write: Write, config: dict[str, Any]) -> None:
    write("train.py", "import missing_module_xyz\n")
    job = alekseylearn.fit("train.py", config=config)
    for _ in range(2):
        with pytest.raises(alekseylearn.JobFailedError, match="missing_module_xyz") as caught:
            job.wait()
        assert caught.value.exit_code == 10
        assert caught.value.hint is not None
    with pytest.raises(alekseylearn.JobFailedError, match="missing_module_xyz"):
        alekseylearn.Job(job.name).wait()
    assert job.status.exit_code == 1


def test_a_job_that_is_stopped_says_so(write: Write, config: dict[str, Any]) -> None:
    write("train.py", FOR_EVER)
    job = alekseylearn.fit("train.py", config=config)
    wait_until_begun(job)
    with pytest.raises(TimeoutError, match="it goes on"):
        job.wait(timeout=0.5)
    assert not job.status.ended
    assert job.metrics == {}
    with pytest.raises(alekseylearn.ConflictError):
        job.fetch("out")
    assert job.stop() == "stopped"
    with pytest.raises(alekseylearn.JobStoppedError):
        job.wait()
    with pytest.raises(alekseylearn.JobStoppedError):
        alekseylearn.Job(job.name).wait()


def test_a_check_finds_without_building(write: Write, config: dict[str, Any]) -> None:
    write("train.py", TRAIN)
    found = alekseylearn.check("train.py", config=config)
    assert found.ok and found.error is None and not found.problems
    assert found.cost is None and found.train_driver == "local"
    assert alekseylearn.jobs() == []
    with pytest.raises(alekseylearn.InvalidError):
        alekseylearn.check("train.py", config={**config, "no_such_option": 1})


INTERRUPTED = """\
import sys, alekseylearn

job = alekseylearn.fit("train.py", config={"base_image": sys.argv[1]})
print(job.name, flush=True)
try:
    job.wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("from_terminal", [False, True])
def test_ctrl_c_leaves_the_job_and_no_process(
    write: Write, config: dict[str, Any], work: Path, from_terminal: bool
) -> None:
    write("train.py", FOR_EVER)
    script = write("script/main.py", INTERRUPTED)
    command = [sys.executable, str(script), config["base_image"]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=work, start_new_session=True)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    children = children_of(process.pid)
    assert children
    time.sleep(0.5)
    if from_terminal:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    assert process.stdout.read() == "interrupted\n"
    assert process.wait(30) == 0
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    job = alekseylearn.Job(name)
    assert job.status.state == "running"
    # It was left on purpose: the same again is another job.
    other = alekseylearn.fit("train.py", config=config)
    assert other.name != name
    for one in (job, other):
        wait_until_begun(one)
        assert one.stop() == "stopped"


def test_ctrl_c_before_the_job_is_submitted_leaves_nothing(write: Write, config: dict[str, Any], work: Path) -> None:
    write("train.py", FOR_EVER)
    script = write("script/main.py", INTERRUPTED)
    command = [sys.executable, str(script), config["base_image"]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=work)
    while not (children := children_of(process.pid)):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT, errors
    assert said == "" and "KeyboardInterrupt" in errors
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert alekseylearn.jobs() == []


def test_a_job_goes_on_when_python_ends(write: Write, config: dict[str, Any], work: Path) -> None:
    write("train.py", FOR_EVER)
    code = f"import alekseylearn; print(alekseylearn.fit('train.py', config={config!r}).name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=work, check=True)
    job = alekseylearn.Job(done.stdout.strip())
    assert job.status.state == "running"
    wait_until_begun(job)
    assert job.stop() == "stopped"


def wait_until_begun(job: alekseylearn.Job) -> None:
    assert [line.text for line in itertools.islice(job.logs(), 1)] == ["begun"]


def children_of(pid: int) -> list[int]:
    text = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout  # noqa: S607
    return [int(word) for word in text.split()]


def test_asyncio_does_the_same(write: Write, config: dict[str, Any], work: Path) -> None:
    write("train.py", TRAIN)

    async def main() -> None:
        found, job = await asyncio.gather(aio.check("train.py", config=config), aio.fit("train.py", config=config))
        assert found.ok
        lines, same = await asyncio.gather(collect(job), job.wait())
        assert same is job
        assert lines[0] == "loss=1.0" and len(lines) == 3
        assert (await job.metrics())["loss"].count == 3
        assert (await job.status()).state == "completed"
        assert await job.fetch("out") == [work / "out" / "model.txt"]
        [known] = await aio.jobs()
        assert await known.wait() is known
        with pytest.raises(alekseylearn.NotFoundError):
            await aio.fit("missing.py")

    async def collect(job: aio.Job) -> list[str]:
        return [line.text async for line in job.logs()]

    asyncio.run(main())


def test_a_cancelled_task_leaves_the_job(write: Write, config: dict[str, Any]) -> None:
    write("train.py", FOR_EVER)

    async def main() -> None:
        job = await aio.fit("train.py", config=config)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(job.wait(), 1)
        assert (await job.status()).state == "running"
        async for line in job.logs():
            assert line.text == "begun"
            break
        assert await job.stop() == "stopped"
        with pytest.raises(alekseylearn.JobStoppedError):
            await job.wait()

    asyncio.run(main())
