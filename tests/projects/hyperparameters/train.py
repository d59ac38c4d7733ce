"""Writes down how it was called and what it found, for tests to look at."""

import argparse
import json
import os
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("-c", type=int, default=0)
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--shuffle", default="")
known, unknown = parser.parse_known_args()

seen = {
    "arguments": sys.argv[1:],
    "known": vars(known),
    "unknown": unknown,
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "path": sys.path,
}
model_folder = Path(os.environ["SM_MODEL_DIR"])
(model_folder / "seen.json").write_text(json.dumps(seen, indent=2, sort_keys=True))
print("learning rate", known.learning_rate)
