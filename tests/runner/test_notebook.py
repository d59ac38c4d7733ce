"""Notebooks in place of a script."""

import json
import signal
import sys
import time


def notebook(*sources, metadata=None, minor=0):
    cells = [
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
        for source in sources
    ]
    return {"nbformat": 4, "nbformat_minor": minor, "metadata": metadata or {}, "cells": cells}


def holds_notebook(container, name, content):
    (container.code / name).write_text(json.dumps(content))
    container.trains(name)


def saved(container, name="train.ipynb"):
    return json.loads((container.ml / "output" / "data" / name).read_text())


def test_hyperparameters_are_the_notebooks_parameters(container):
    container.holds_project("failing-notebook", "train.ipynb")
    container.has_hyperparameters(**{"divisor": "4", "learning-rate": "0.1"})
    ended = container.run()
    assert ended.exit_code == 0
    assert ended.stdout == b"divisor is 4\n0.25\nthe last cell\n"
    warning = b"alekseylearn: the hyperparameter 'learning-rate' is not a valid variable name: it is only in SM_HPS\n"
    assert ended.stderr == warning
    assert (container.ml / "model" / "first.txt").exists()
    assert ended.failure is None


def test_a_failing_cell_is_named_and_the_notebook_is_saved_with_its_error(container):
    container.holds_project("failing-notebook", "train.ipynb")
    ended = container.run()
    assert ended.exit_code == 1
    assert ended.stderr.endswith(b"Cell 3 failed: ZeroDivisionError: division by zero\n")
    lines = ended.failure.splitlines()
    assert lines[0] == "Cell 3 failed: ZeroDivisionError: division by zero"
    assert lines[1] == "The cell begins: numerator = 1"
    assert "----> 2 numerator / divisor" in lines
    assert "\x1b" not in ended.failure
    outputs = [output for cell in saved(container)["cells"] for output in cell.get("outputs", [])]
    errors = [output["ename"] for output in outputs if output["output_type"] == "error"]
    assert errors == ["ZeroDivisionError"]


def test_the_injected_cell_does_not_shift_the_count(container):
    container.holds_project("failing-notebook", "train.ipynb")
    container.has_hyperparameters(divisor="0")
    assert container.run().failure.startswith("Cell 3 failed")


def test_sigterm_interrupts_the_cell_and_saves_the_notebook(container):
    endless = "import time\ntry:\n    print('training')\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    print('saving')"
    holds_notebook(container, "train.ipynb", notebook("print('first')", endless, "print('never')"))
    process = container.start()
    container.wait_for_output("training")
    time.sleep(0.5)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended = container.wait()
    assert time.monotonic() - started < 5
    assert ended.exit_code == 143
    assert ended.stdout == b"first\ntraining\nsaving\n"
    outputs = [cell["outputs"] for cell in saved(container)["cells"]]
    assert outputs[0][0]["text"] == ["first\n"]
    assert outputs[1][0]["text"] == ["training\n", "saving\n"]
    assert outputs[2] == []


def test_an_old_notebook_of_a_foreign_kernel_runs_in_the_images_environment(container):
    metadata = {"kernelspec": {"name": "conda-env-elsewhere-py", "display_name": "x", "language": "R"}}
    holds_notebook(container, "old.ipynb", notebook("import sys\nprint(sys.prefix)", metadata=metadata))
    ended = container.run()
    assert ended.exit_code == 0
    assert ended.stderr == b""
    assert ended.stdout.decode().strip() == sys.prefix


def test_output_is_seen_while_the_cell_runs_and_bars_stay_one_text(container):
    bar = """
import sys, time
for step in range(15):
    print(f"\\rstep {step}", end="", file=sys.stderr, flush=True)
    time.sleep(0.1)
print(file=sys.stderr)
print("drawn")
time.sleep(1)
6 * 7
"""
    holds_notebook(container, "train.ipynb", notebook(bar))
    process = container.start()
    container.wait_for_output("drawn")
    assert process.poll() is None
    ended = container.wait()
    assert ended.stdout == b"drawn\n42\n"
    assert ended.stderr.endswith(b"step 14\n")
    streams = [
        (output["name"], output["text"])
        for output in saved(container)["cells"][0]["outputs"]
        if output["output_type"] == "stream"
    ]
    assert streams == [("stderr", ["step 14\n"]), ("stdout", ["drawn\n"])]


def test_a_cell_may_end_the_run(container):
    for code in (0, 3):
        last = f"import sys\nsys.exit({code})"
        holds_notebook(container, "train.ipynb", notebook(last, "print('never')"))
        ended = container.run()
        assert ended.exit_code == code
        assert ended.stdout == b""
    assert ended.failure.startswith("Cell 1 failed: SystemExit: 3")


def test_a_cell_may_end_the_run_as_ipython_does(container):
    for source, code in (("quit()", 0), ("exit(3)", 3), ("exit()", 0), ("quit('no data left')", 1)):
        holds_notebook(container, "train.ipynb", notebook("print('one')", source + "\nprint('two')", "print('three')"))
        ended = container.run()
        assert (ended.exit_code, ended.stdout) == (code, b"one\n"), (source, ended)
    assert ended.failure.startswith("Cell 2 failed: SystemExit: no data left")


def test_numbers_that_json_does_not_know_leave_a_notebook_that_is_json(container):
    holds_notebook(container, "train.ipynb", notebook("print(x, y, z)"))
    container.has_hyperparameters(x="NaN", y="-Infinity", z="[Infinity, 1]")
    ended = container.run()
    assert (ended.exit_code, ended.stdout) == (0, b"nan -inf [inf, 1]\n"), ended

    def refuse(name):
        raise AssertionError(name + " is no JSON")

    text = (container.ml / "output" / "data" / "train.ipynb").read_text()
    made = json.loads(text, parse_constant=refuse)["metadata"]["papermill"]["parameters"]
    assert made == {"x": "nan", "y": "-inf", "z": ["inf", 1]}


def test_what_other_tools_leave_out_of_a_notebook_is_put_right(container):
    bare = {"cell_type": "code", "source": "print('fine')"}
    third = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": [{"cell_type": "code", "language": "python", "input": "print('fine')", "outputs": []}]}],
    }
    for content in (
        {"nbformat": 4, "cells": [bare]},
        {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [bare]},
        {"nbformat": 4, "metadata": {"language_info": {"name": "python", "version": 3.8}}, "cells": [bare]},
        third,
    ):
        holds_notebook(container, "train.ipynb", content)
        ended = container.run()
        assert (ended.exit_code, ended.stdout, ended.stderr) == (0, b"fine\n", b""), ended
        assert saved(container)["nbformat"] == 4


def test_a_cell_that_is_expected_to_fail_does_not_fail_the_run(container):
    content = notebook("1 / 0", "print('after')")
    content["cells"][0]["metadata"]["tags"] = ["raises-exception"]
    holds_notebook(container, "train.ipynb", content)
    ended = container.run()
    assert ended.exit_code == 0
    assert ended.stdout == b"after\n"


def test_a_kernel_that_dies_is_explained(container):
    holds_notebook(container, "train.ipynb", notebook("x = 1", "import os\nos.kill(os.getpid(), 9)"))
    ended = container.run()
    assert ended.exit_code == 137
    reason = "Cell 2 failed: its kernel died: killed by SIGKILL, usually because memory ran out\n"
    assert ended.failure.startswith(reason)


def test_a_notebook_in_a_subfolder_runs_there_and_imports_from_the_code_folder(container):
    container.has_environment()
    (container.code / "shared.py").write_text("name = 'shared'\n")
    (container.code / "notebooks").mkdir()
    (container.code / "notebooks" / "data.txt").write_text("data")
    source = "import os, shared\nprint(shared.name, open('data.txt').read(), len(os.listdir()))"
    holds_notebook(container, "notebooks/{odd} name.ipynb", notebook(source))
    ended = container.run()
    assert ended.stdout == b"shared data 2\n"
    assert saved(container, "{odd} name.ipynb")


def test_a_module_that_shadows_the_standard_library_does_not_stop_the_kernel(container):
    for name in ("random", "json", "types", "keyword", "operator", "zmq"):
        container.holds_file(name + ".py", "raise RuntimeError('not the real one')\n")
    holds_notebook(container, "train.ipynb", notebook("print('fine')"))
    assert container.run().stdout == b"fine\n"


def test_the_notebook_starts_without_any_names(container):
    names = "print([name for name in globals() if not name.startswith('_')])"
    holds_notebook(container, "train.ipynb", notebook(names))
    assert container.run().stdout == b"['In', 'Out', 'get_ipython', 'exit', 'quit', 'open']\n"


def test_a_kernel_that_does_not_start_says_why(container):
    container.holds_file("broken/ipykernel/__init__.py", "raise RuntimeError('no kernel')\n")
    container.environment["PYTHONPATH"] = str(container.code / "broken")
    holds_notebook(container, "train.ipynb", notebook("1"))
    ended = container.run()
    assert ended.exit_code == 1
    assert ended.failure.startswith("The notebook's kernel did not start: RuntimeError: no kernel\n")


def test_a_stop_before_the_first_cell_is_a_stop(container):
    holds_notebook(container, "train.ipynb", notebook("print('never')"))
    process = container.start()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    ended = container.wait()
    assert ended.exit_code == 143
    assert ended.stdout == b""
