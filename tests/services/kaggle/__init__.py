"""Kaggle as its client knows it. What the service does with a kernel is the script's to say, or truly done."""

from .service import Kaggle

__all__ = ["Kaggle"]
