"""Stops, orphans, and processes that hold the output open."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import START


def test_sigterm_lets_the_script_save_and_end_well(container):
    container.holds_project("until-sigterm")
    process = container.start()
    container.wait_for_output("training")
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended = container.wait()
    assert time.monotonic() - started < 2
    assert ended.exit_code == 0
    assert ended.stdout.endswith(b"saved checkpoint.txt\n")
    assert (container.ml / "model" / "checkpoint.txt").exists()
    assert ended.failure is None


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_script_without_a_handler_ends_with_the_signals_code(container, number, code):
    container.holds_script("import time\nprint('training')\ntime.sleep(600)\n")
    process = container.start()
    container.wait_for_output("training")
    process.send_signal(number)
    ended = container.wait()
    assert ended.exit_code == code
    assert ended.failure.startswith(f"The job was stopped by {number.name}.")


def test_workers_are_left_to_the_script_until_it_has_ended(container):
    """A worker that is told to stop before the script would spoil the script's last epoch."""
    container.holds_script(
        """
        import signal, subprocess, sys, time
        worker = subprocess.Popen([sys.executable, "-c", '''
        import signal, sys, time
        def stop(number, frame):
            print("worker stops")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("worker is ready")
        time.sleep(600)
        '''.replace("\\n        ", "\\n")])
        def stop(number, frame):
            time.sleep(0.5)
            print("script ends, worker lives:", worker.poll() is None)
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        time.sleep(600)
        """
    )
    process = container.start()
    container.wait_for_output("worker is ready")
    process.send_signal(signal.SIGTERM)
    ended = container.wait()
    assert ended.exit_code == 0
    assert ended.stdout.splitlines()[1:] == [b"script ends, worker lives: True", b"worker stops"]


def test_a_stop_reaches_the_script_even_while_nobody_reads_the_log(container):
    container.holds_script(
        """
        import os, signal, sys
        def stop(number, frame):
            open(os.environ["SM_MODEL_DIR"] + "/stopped", "w").close()
            os._exit(0)
        signal.signal(signal.SIGTERM, stop)
        open(os.environ["SM_MODEL_DIR"] + "/ready", "w").close()
        while True:
            print("x" * 1000)
        """
    )
    read_end, write_end = os.pipe()
    process = _start_with_stdout(container, write_end)
    os.close(write_end)
    try:
        _wait_for(container.ml / "model" / "ready")
        time.sleep(0.5)  # by now every pipe is full
        process.send_signal(signal.SIGTERM)
        _wait_for(container.ml / "model" / "stopped")
    finally:
        os.close(read_end)
    assert process.wait(10) == 0


def test_an_orphan_that_holds_the_output_open_does_not_hold_the_run(container):
    container.holds_script(
        """
        import subprocess, sys, time
        orphan = '''
        import time
        print("orphan speaks", flush=True)
        time.sleep(15)
        '''.replace("\\n        ", "\\n")
        subprocess.Popen([sys.executable, "-c", orphan], start_new_session=True)
        print("script ends")
        """
    )
    started = time.monotonic()
    ended = container.run()
    assert time.monotonic() - started < 10
    assert ended.exit_code == 0
    assert sorted(ended.stdout.splitlines()) == [b"orphan speaks", b"script ends"]


def test_nothing_of_the_script_outlives_the_run(container):
    container.holds_script(
        """
        import subprocess, sys
        child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print(child.pid)
        """
    )
    pid = int(container.run().stdout)
    _wait_until(lambda: not os.path.exists(f"/proc/{pid}") or _is_zombie(pid))


def test_a_log_reader_that_goes_away_does_not_end_the_training(container):
    container.holds_script(
        """
        import os, time
        for number in range(20):
            print(number)
            time.sleep(0.02)
        open(os.environ["SM_MODEL_DIR"] + "/done", "w").close()
        """
    )
    process = _start_with_stdout(container, subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(10) == 0
    assert (container.ml / "model" / "done").exists()


def _start_with_stdout(container, stdout):
    command = [*START, "train"]
    container.process = subprocess.Popen(command, env=container.environment, stdout=stdout)
    return container.process


def _is_zombie(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "Z"


def _wait_for(path):
    _wait_until(path.exists)


def _wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("source, code", [("", 0), ("raise SystemExit(3)", 3)])
def test_a_host_that_is_done_at_once_stays_for_slower_ones_unless_it_failed(container, source, code):
    hosts = ["127.0.0.1", "127.0.0.2"]
    container.is_given("resourceconfig", {"current_host": hosts[0], "hosts": hosts, "network_interface_name": "lo"})
    container.holds_script(source + "\nopen(__file__ + '.done', 'w').close()" if code == 0 else source)
    process = container.start()
    if code == 0:
        while not (container.code / "train.py.done").exists():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.5)
        assert process.poll() is None, "it stays"
        process.send_signal(signal.SIGTERM)
    assert container.wait().exit_code == code
