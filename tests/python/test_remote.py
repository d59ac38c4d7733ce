"""Functions that run as jobs."""

from __future__ import annotations

import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import alekseylearn
import pytest
from alekseylearn._payload import Payload
from conftest import Write

MAIN = """\
import sys
import helper
import alekseylearn

SCALE = 10
config = {"base_image": sys.argv[1]}


@alekseylearn.remote(config=config)
def scaled(numbers, *, power=1):
    return {"sum": SCALE * sum(helper.raised(number, power) for number in numbers), "python": sys.version_info[:2]}


assert scaled.local([1, 2])["sum"] == 30
job = scaled.submit([1, 2, 3], power=2)
print(type(job).__name__, job.result() == {"sum": 140, "python": sys.version_info[:2]}, helper.raised(2, 3))
"""


def test_a_function_runs_as_a_job_with_what_it_uses(write: Write, config: dict[str, Any], work: Path) -> None:
    write("helper.py", "def raised(number, power):\n    return number**power\n")
    main = write("main.py", MAIN)
    command = [sys.executable, str(main), config["base_image"]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=work)
    if sys.version_info[:2] == (3, 11):
        assert done.stdout == "RemoteJob True 8\n", done.stderr
    else:
        assert "the base image has Python 3.11, and the project asks for" in done.stderr


def test_what_cannot_be_pickled_is_named_before_anything_is_built() -> None:
    @alekseylearn.remote
    def use(lock: object) -> None:
        pass

    with pytest.raises(alekseylearn.InvalidError, match="cannot pickle use and its arguments"):
        use(threading.Lock())


def test_the_packages_of_what_is_pickled_are_required_by_version() -> None:
    import cloudpickle
    import pandas

    def analyse(frame: Any) -> Any:
        import json

        import pytest as testing

        return json, testing, frame

    payload = Payload()
    payload.pickle((analyse, (pandas.Series([1]),)))
    required = payload.requirements()
    assert f"cloudpickle=={cloudpickle.__version__}" in required
    assert f"pandas=={pandas.__version__.partition('+')[0]}" in required
    assert f"pytest=={pytest.__version__}" in required
    assert not any(line.startswith(("json", "alekseylearn")) for line in required)

    named = Payload(["Pandas>=1", "torch"])
    named.pickle(pandas.Series([1]))
    assert [line for line in named.requirements() if "andas" in line] == ["Pandas>=1"]
    assert "torch" in named.requirements()


def test_another_python_refuses_to_read_a_pickle() -> None:
    with Payload().folder("remote") as folder:
        support = (folder / "alekseylearn_support.py").read_text()
    here = str(tuple(sys.version_info[:2]))
    assert here in support
    done = subprocess.run([sys.executable, "-c", support.replace(here, "(2, 7)")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "choose a base image with Python" in done.stderr


def test_own_modules_are_pickled_only_meanwhile(write: Write, monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    import cloudpickle

    monkeypatch.syspath_prepend(str(work))
    write("own_module_of_test.py", "def f():\n    return 1\n")
    import own_module_of_test  # type: ignore[import-not-found]

    assert isinstance(own_module_of_test, types.ModuleType)
    pickled = Payload().pickle(own_module_of_test.f)
    monkeypatch.delitem(sys.modules, "own_module_of_test")
    Path("own_module_of_test.py").unlink()
    assert cloudpickle.loads(pickled)() == 1
    assert cloudpickle.list_registry_pickle_by_value() == set()


def test_a_function_that_calls_itself_can_be_sent() -> None:
    import cloudpickle

    @alekseylearn.remote
    def factorial(number: int) -> int:
        return 1 if number < 2 else number * factorial.local(number - 1)

    copy = cloudpickle.loads(cloudpickle.dumps(factorial))
    assert not isinstance(copy, alekseylearn.RemoteFunction)
    assert factorial.local(4) == 24
