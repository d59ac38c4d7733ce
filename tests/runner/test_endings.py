"""How a run ends: its exit code, and the reason in the failure file."""

import sys

import pytest

REASON = 1024


@pytest.mark.parametrize("code", [0, 1, 3, 77, 255])
def test_the_scripts_exit_code_is_the_runners(container, code):
    container.holds_project("exits")
    container.has_hyperparameters(code=str(code))
    ended = container.run()
    assert ended.exit_code == code
    if code == 0:
        assert ended.failure is None
    else:
        assert ended.failure.startswith(f"The script ended with exit code {code} and no traceback.\n")
        assert f"about to exit with {code}" in ended.failure


@pytest.mark.parametrize(
    "name, code, meaning", [("SIGKILL", 137, "memory"), ("SIGSEGV", 139, "segmentation fault")]
)
def test_death_by_a_signal_is_explained(container, name, code, meaning):
    container.holds_project("killed")
    container.has_hyperparameters(signal=name)
    ended = container.run()
    assert ended.exit_code == code
    assert ended.stdout == f"dying of {name}\n".encode()
    assert meaning in ended.failure.splitlines()[0]


def test_a_crash_in_native_code_shows_where(container):
    container.holds_project("killed")
    container.has_hyperparameters(signal="SIGSEGV")
    assert 'train.py", line 12 in <module>' in container.run().failure


def test_the_exception_comes_first_and_the_innermost_frames_next(container):
    container.holds_project("fails")
    ended = container.run()
    assert ended.exit_code == 1
    lines = ended.failure.splitlines()
    assert lines[0] == "ValueError: columns differ in length: {'age': 2, 'height': 1}"
    assert 'columns.py", line 4, in check_lengths' in lines[-2]


def test_a_long_message_and_a_deep_traceback_leave_room_for_each_other(container):
    container.holds_script(
        """
        def descend(depth):
            if depth == 0:
                raise RuntimeError("x" * 5000)
            descend(depth - 1)

        descend(50)
        """
    )
    reason = container.run().failure[:REASON]
    assert reason.startswith("RuntimeError: xxx")
    assert reason.count("in descend") >= 3
    assert "raise RuntimeError" in reason


def test_the_last_of_several_tracebacks_counts(container):
    container.holds_script(
        """
        try:
            {}["first"]
        except KeyError as error:
            raise ValueError("second") from error
        """
    )
    assert container.run().failure.startswith("ValueError: second\n")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_the_last_of_a_group_of_exceptions_counts(container):
    container.holds_script(
        """
        def fail():
            raise ValueError("inner")

        try:
            fail()
        except ValueError as error:
            raise ExceptionGroup("several", [KeyError("other"), error])
        """
    )
    failure = container.run().failure
    assert failure.startswith("ValueError: inner\n")
    assert "in fail" in failure


def test_a_syntax_error_in_the_script_comes_first_too(container):
    container.holds_script("print('fine')\nx = = 1\n")
    ended = container.run()
    assert ended.failure.startswith("SyntaxError: invalid syntax\n")
    assert "x = = 1" in ended.failure


def test_rejected_arguments_are_explained(container):
    container.holds_project("exits")
    container.has_hyperparameters(cod="7", colour="red")
    ended = container.run()
    assert ended.exit_code == 2
    assert "does not accept" in ended.failure
    assert "unrecognized arguments: --colour red" in ended.failure


def test_a_failure_file_of_the_scripts_own_is_kept(container):
    container.holds_script(
        """
        import os, sys
        with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w") as file:
            file.write("the data is too old")
        raise SystemExit("giving up")
        """
    )
    ended = container.run()
    assert ended.exit_code == 1
    assert ended.failure == "the data is too old"
