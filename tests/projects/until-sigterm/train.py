"""Trains for ever; when asked to stop, it saves what it has and ends well."""

import os
import signal
import time
from pathlib import Path

stopping = False


def stop(number, frame):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)
print("training", flush=True)

step = 0
while not stopping:
    step += 1
    time.sleep(0.05)

model = Path(os.environ["SM_MODEL_DIR"]) / "checkpoint.txt"
model.write_text(f"stopped at step {step}\n")
print("saved", model.name)
