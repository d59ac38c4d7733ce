"""Data that belongs to the package and is found from it, wherever the job runs."""

import csv
from pathlib import Path


def district_names():
    with open(Path(__file__).parent / "districts.csv", newline="") as file:
        return {row["id"]: row["name"] for row in csv.DictReader(file)}
