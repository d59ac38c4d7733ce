"""Print those of the chosen versions that have a wheel for this Python, one a line, and the indexes. The first argument is
a list of `uv pip compile`, the others a command that fails if a package in its input has no wheel."""

import concurrent.futures
import subprocess
import sys


def have_wheels(pins):
    text = "\n".join(options + pins)
    return not pins or subprocess.run(command, input=text.encode(), stdout=subprocess.DEVNULL).returncode == 0


path, *command = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    lines = [" ".join(line.split()) for line in file.read().replace("\\\n", " ").splitlines()]
options = [line for line in lines if line.startswith("--") and " http" in line]
pins = [line for line in lines if "==" in line.split(" ")[0]]
if not have_wheels(pins):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        pins = [pin for pin, has in zip(pins, pool.map(lambda pin: have_wheels([pin]), pins)) if has]
print("\n".join(options + pins))
