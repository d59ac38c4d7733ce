"""Ridge regression in a few lines."""

import numpy as np


class LinearModel:
    def __init__(self, weights):
        self.weights = weights

    @classmethod
    def fit(cls, features, target, ridge):
        design = _with_intercept(features)
        penalty = ridge * np.eye(design.shape[1])
        return cls(np.linalg.solve(design.T @ design + penalty, design.T @ target))

    def predict(self, features):
        return _with_intercept(features) @ self.weights

    def save(self, path):
        np.savez(path, weights=self.weights)


def _with_intercept(features):
    return np.column_stack([np.ones(len(features)), features])
