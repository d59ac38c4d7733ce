"""Fit flat prices with code that is spread over several modules."""

import argparse
import os
from pathlib import Path

import report
from pricing.model.linear import LinearModel
from pricing.table import Table

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--ridge", type=float, default=1e-3)
options = parser.parse_args()

flats = Table.read(Path("data/flats.csv"))
model = LinearModel.fit(flats.columns("area", "rooms", "floor"), flats.column("price"), ridge=options.ridge)

model_dir = Path(os.environ.get("SM_MODEL_DIR", "."))
model.save(model_dir / "prices.npz")
report.show(model, flats)
