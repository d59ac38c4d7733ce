"""Several processes of one script on a host."""

import json
import signal

SHOW = """
import json, os
print(json.dumps({name: os.environ.get(name) for name in (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")}))
"""


def shown(ended):
    found = {}
    for line in ended.stdout.decode().splitlines():
        prefix, _, text = line.partition(": ")
        found[prefix] = json.loads(text)
    return found


def test_each_process_is_told_its_place(container):
    container.holds_script(SHOW)
    container.is_asked(processes_per_node=2)
    ended = container.run()
    assert ended.exit_code == 0, ended
    found = shown(ended)
    assert sorted(found) == ["rank 0", "rank 1"]
    for number in range(2):
        assert found[f"rank {number}"] == {
            "RANK": str(number),
            "LOCAL_RANK": str(number),
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "GROUP_RANK": "0",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": "7777",
        }


def test_hosts_count_on(container):
    container.holds_script(SHOW + "import time; time.sleep(0.5)\n")
    container.is_asked(processes_per_node="2")
    hosts = ["127.0.0.1", "127.0.0.2"]
    container.is_given("resourceconfig", {"current_host": hosts[1], "hosts": hosts, "network_interface_name": "lo"})
    found = shown(container.run())
    assert sorted(found) == ["rank 2", "rank 3"]
    assert found["rank 3"] == {
        "RANK": "3",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "4",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "7777",
    }


def test_one_process_for_each_gpu(container):
    tool = container.folder / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'GPU 0: A100'\necho 'GPU 1: A100'\necho 'GPU 2: A100'\n")
    tool.chmod(0o755)
    container.holds_script(SHOW)
    container.is_asked(processes_per_node="gpu")
    assert list(shown_single(container)) == [""], "without a GPU it is one, and no rank leads its lines"
    container.environment["PATH"] = f"{tool.parent}:{container.environment['PATH']}"
    assert sorted(shown(container.run())) == ["rank 0", "rank 1", "rank 2"]


def shown_single(container):
    ended = container.run()
    assert json.loads(ended.stdout)["WORLD_SIZE"] == "1"
    return [""]


def test_one_that_fails_ends_all_with_its_code_and_its_reason(container):
    container.holds_script(
        """
        import os, sys, time
        if os.environ["RANK"] == "1":
            time.sleep(0.3)
            raise ValueError("no such column")
        print("waiting", flush=True)
        time.sleep(600)
        """
    )
    container.is_asked(processes_per_node=3)
    ended = container.run()
    assert ended.exit_code == 1
    assert ended.failure.startswith("ValueError: no such column\n"), ended
    assert b"rank 1: ValueError: no such column\n" in ended.stderr
    assert ended.stderr.endswith(b"alekseylearn: rank 1 ended with exit code 1\n")
    container.holds_script("import os, sys\nsys.exit(7 if os.environ['RANK'] == '0' else 0)\n")
    assert container.run().exit_code == 7


def test_a_stop_reaches_all(container):
    container.holds_script(
        """
        import os, signal, sys, time
        def stop(number, frame):
            print("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("ready" + os.environ["RANK"])
        time.sleep(600)
        """
    )
    container.is_asked(processes_per_node=2)
    process = container.start()
    container.wait_for_output("ready0")
    container.wait_for_output("ready1")
    process.send_signal(signal.SIGTERM)
    ended = container.wait()
    assert ended.exit_code == 0
    assert sorted(ended.stdout.splitlines())[-2:] == [b"rank 1: ready1", b"rank 1: saved"]
    assert b"rank 0: saved" in ended.stdout


def test_bars_and_lines_stay_apart(container):
    container.holds_script(
        """
        import sys, time
        for step in range(3):
            sys.stderr.write(f"\\rstep {step}")
            sys.stderr.flush()
            time.sleep(0.05)
        sys.stderr.write("\\n")
        print("no end", end="")
        """
    )
    container.is_asked(processes_per_node=2)
    ended = container.run()
    assert sorted(ended.stdout.splitlines()) == [b"rank 0: no end", b"rank 1: no end"]
    assert all(line.startswith(b"rank ") for line in ended.stderr.splitlines() if line.strip()), ended.stderr


def test_what_cannot_be_is_said(container):
    container.holds_script(SHOW)
    for wanted in (0, -1, "many", "1.5"):
        container.is_asked(processes_per_node=wanted)
        assert "not a number or `gpu`" in container.run().failure, wanted
