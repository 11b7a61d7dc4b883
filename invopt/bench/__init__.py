"""The benchmark matrix: every problem with every method, their measures, and the tables made of them."""

from invopt.bench.presets import Preset

__all__ = ["Preset"]
