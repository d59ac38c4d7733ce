"""How each kind of training artifact is started, and with which arguments."""

import json

import pytest

SHOW = """
import json, os, sys
print(json.dumps([sys.argv, os.getcwd(), sys.path[0], sorted(os.environ)]))
"""


def shown(ended):
    assert ended.exit_code == 0, ended
    return json.loads(ended.stdout)


def test_a_script_runs_in_its_working_folder_by_the_path_from_there(container):
    container.holds_script(SHOW, "src/train.py")
    container.trains("src/train.py", kind="script", folder="src/data")
    container.is_asked(arguments=["--epochs", "1", "--", "-x", "", "two words", "ü\n☃", "*", "x" * 3000])
    arguments, folder, first, _ = shown(container.run())
    assert arguments[0] == "../train.py"
    assert arguments[1:] == ["--epochs", "1", "--", "-x", "", "two words", "ü\n☃", "*", "x" * 3000]
    assert folder == f"{container.code}/src/data"
    assert first == f"{container.code}/src"


def test_what_was_typed_comes_after_hyperparameters(container):
    container.holds_script(SHOW)
    container.has_hyperparameters(rate="1")
    container.is_asked(arguments=["--rate", "2"])
    assert shown(container.run())[0] == ["train.py", "--rate", "1", "--rate", "2"]


def test_a_module_runs_as_with_dash_m(container):
    container.has_environment()
    container.holds_file("src/pkg/__init__.py", "")
    container.holds_file("src/pkg/train.py", "from . import other\n" + SHOW)
    container.holds_file("src/pkg/other.py", "")
    container.trains("src/pkg/train.py", kind="module", module="pkg.train", folder="")
    container.is_asked(arguments=["a"])
    arguments, folder, first, _ = shown(container.run())
    assert arguments == [f"{container.code}/src/pkg/train.py", "a"]
    assert folder == first == str(container.code)


@pytest.mark.parametrize(
    "ending, code, says",
    [("return 3", 3, b""), ("return None", 0, b""), ("return 'no data'", 1, b"no data\n"), ("raise SystemExit(4)", 4, b"")],
)
def test_a_function_runs_as_an_installed_entry_point(container, ending, code, says):
    container.has_environment()
    container.holds_file("pkg/__init__.py", "")
    container.holds_file("pkg/cli.py", f"import sys\ndef main():\n    print(sys.argv)\n    {ending}\n")
    container.trains("pkg/cli.py", kind="function", module="pkg.cli", function="main", name="fit-it")
    container.is_asked(arguments=["a"])
    ended = container.run()
    assert (ended.exit_code, ended.stderr) == (code, says), ended
    assert ended.stdout.startswith(b"['/") and ended.stdout.endswith(b"/fit-it', 'a']\n"), ended


def test_a_function_may_belong_to_something_and_no_text_is_code(container):
    container.has_environment()
    container.holds_file("cli.py", "class App:\n    @staticmethod\n    def run():\n        print('ran')\n")
    container.trains("cli.py", kind="function", module="cli", function="App.run")
    assert container.run().stdout == b"ran\n"
    container.trains("cli.py", kind="function", module="cli", function="run()\nprint('evil')#")
    ended = container.run()
    assert ended.exit_code == 1 and b"evil" not in ended.stdout
    assert "is not a valid function name" in ended.failure


def test_a_shell_script_runs_by_its_first_line_else_by_sh(container):
    container.holds_script("echo $0 $1; cat <<< bash\n", "run.sh")
    container.trains("run.sh", kind="shell")
    container.is_asked(arguments=["two words"])
    assert container.run().exit_code == 2, "sh knows no <<<"
    container.holds_script("#!/usr/bin/env bash\necho $0 $1; cat <<< bash\nexit 7\n", "run.sh")
    container.trains("run.sh", kind="shell")
    ended = container.run()
    assert (ended.exit_code, ended.stdout) == (7, b"run.sh two words\nbash\n")
    container.holds_script("#!/no/such/shell\n", "run.sh")
    container.trains("run.sh", kind="shell")
    ended = container.run()
    assert ended.exit_code == 1
    assert ended.failure == "The training could not start: cannot run /no/such/shell: No such file or directory\n"


def test_a_file_without_an_ending_is_a_script(container):
    container.holds_script("#!/usr/bin/env python\nprint('trained')\n", "train")
    assert container.run().stdout == b"trained\n"


def test_a_name_that_begins_with_a_dash_is_no_option(container):
    container.holds_script(SHOW, "-train.py")
    assert shown(container.run())[0] == ["./-train.py"]


def test_files_of_the_project_stand_in_nobodys_way(container):
    container.has_environment()
    for name in ("encodings/__init__", "sitecustomize", "json", "selectors", "signal", "job", "supervise", "random"):
        container.holds_file(f"{name}.py", "raise RuntimeError('not the real one')\n")
    container.environment["PYTHONDONTWRITEBYTECODE"] = "1"
    container.holds_script("import encodings.idna, sys\nprint('fine', sys.path[0])\n")
    ended = container.run()
    assert (ended.exit_code, ended.stdout) == (0, f"fine {container.code}\n".encode()), ended
    container.holds_script("import json\n")
    assert "not the real one" in container.run().failure, "the script's folder comes first, as at home"


def test_what_the_image_does_not_say_or_cannot_mean_is_an_error(container):
    (container.home / "artifact.json").write_text("{}")
    assert "names no artifact" in container.run().failure
    container.holds_script("")
    container.trains("train.py", kind="riddle")
    assert "'riddle'" in container.run().failure
    container.trains("train.py")
    container.environment["ALEKSEYLEARN_RUN_0"] = '{"arguments": "x"}'
    assert "'arguments' is not a list of strings" in container.run().failure
