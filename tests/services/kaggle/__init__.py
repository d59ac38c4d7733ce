"""Kaggle for its client. Kernels follow the test's script, or really run."""

from .service import Kaggle

__all__ = ["Kaggle"]
