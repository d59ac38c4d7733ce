"""A table of numbers."""

import csv

import numpy as np


class Table:
    def __init__(self, rows):
        self.rows = rows

    @classmethod
    def read(cls, path):
        with open(path, newline="") as file:
            return cls(list(csv.DictReader(file)))

    def __len__(self):
        return len(self.rows)

    def column(self, name):
        return np.array([float(row[name]) for row in self.rows])

    def columns(self, *names):
        return np.column_stack([self.column(name) for name in names])
