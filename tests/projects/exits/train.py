"""Ends with the exit code it is given."""

import argparse
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--code", type=int, default=0)
options = parser.parse_args()

print("about to exit with", options.code, file=sys.stderr)
sys.exit(options.code)
