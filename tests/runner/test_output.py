"""Output on its way through the runner."""

import random


def test_no_line_is_lost_and_bars_are_thinned_out(container):
    container.holds_project("noisy")
    ended = container.run()
    expected = b"".join(b"line %d\n" % number for number in range(100_000))
    assert ended.stdout == expected + b"no line feed at the end\n", "the runner ends the line"

    lines = ended.stderr.split(b"\n")[:-1]
    assert b"writing: 100000/100000" in lines
    assert lines[-1].endswith(b"is the last")
    moving = [line for line in lines if line.endswith(b"\r")]
    assert 2 <= len(moving) <= 6
    assert len(lines) == len(moving) + 3
    assert lines[-2] == b"epoch " + lines[-1].split()[1]


def test_all_but_line_ends_passes_unchanged(container):
    noise = random.Random(5).getrandbits(8 * 300_000).to_bytes(300_000, "big").replace(b"\r", b"")
    data = noise + b"a\r\nb\r\n\r\nend"
    (container.code / "data").write_bytes(data)
    container.holds_script(
        """
        import sys
        data = open("data", "rb").read()
        for start in range(0, len(data), 777):
            sys.stdout.buffer.write(data[start : start + 777])
        sys.stdout.buffer.flush()
        """
    )
    assert container.run().stdout == data.replace(b"\r\n", b"\n") + b"\n"


def test_stdout_and_stderr_stay_apart(container):
    container.holds_script("import sys\nprint('out')\nprint('err', file=sys.stderr)\n")
    ended = container.run()
    assert (ended.stdout, ended.stderr) == (b"out\n", b"err\n")


def test_an_unfinished_line_is_seen_before_it_ends(container):
    container.holds_script("import time\nprint('loading ... ', end='')\ntime.sleep(600)\n")
    container.start()
    container.wait_for_output("loading ... ")
