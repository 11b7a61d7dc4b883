"""Estimators that remember their samples, and the models they fit to them."""

from .history import HistoryEstimator

__all__ = ["HistoryEstimator"]
