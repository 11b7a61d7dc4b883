"""Benchmark matrix of every problem with every method, its measures and tables."""

from invopt.bench.presets import Preset

__all__ = ["Preset"]
