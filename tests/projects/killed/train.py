"""Dies of a signal, as a process that ran out of memory does."""

import argparse
import os
import signal

parser = argparse.ArgumentParser()
parser.add_argument("--signal", default="SIGKILL")
options = parser.parse_args()

print("dying of", options.signal, flush=True)
os.kill(os.getpid(), getattr(signal, options.signal))
