"""Many lines on stdout, while a progress bar redraws itself on stderr."""

import argparse
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lines", type=int, default=100_000)
parser.add_argument("--seconds", type=float, default=2.5)
options = parser.parse_args()

for number in range(options.lines):
    sys.stdout.write(f"line {number}\n")
    if number % 1000 == 0:
        sys.stderr.write(f"\rwriting: {number}/{options.lines}")
sys.stderr.write(f"\rwriting: {options.lines}/{options.lines}\n")

end = time.monotonic() + options.seconds
step = 0
while time.monotonic() < end:
    step += 1
    print(f"epoch {step}", end="\r", file=sys.stderr)
    time.sleep(0.02)
print(f"epoch {step} is the last", file=sys.stderr)
sys.stdout.write("no line feed at the end")
