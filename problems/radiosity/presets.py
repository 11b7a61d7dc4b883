"""Settings of neural radiosity by name."""

from __future__ import annotations

from typing import Any

from attrs import Factory, field, frozen

from invopt.plugin import ResidualLoss, by_name

from .fields.field import PLAIN
from .losses import RelativeL2, Tweedie

__all__ = ["PAPER_LR", "PRESETS", "ROOMS_LR", "Preset", "as_preset", "by_preset"]

# Adam's initial rate in the semi-gradient paper ...
PAPER_LR = 5e-4
# ... and in rooms. Behind the door, after twelve seconds, 2e-3 had 1.3 times the error, and 1e-2 did not help; measured
# again by: tests/benchmarks/rooms.py --scenes door --seeds 1000 --seconds 12 --set lr=2e-3.
ROOMS_LR = 5e-3


@frozen(kw_only=True)
class Preset:
    """Values of the fields of `NeuralRadiosity` that are not given.

    Attributes
    ----------
    head : dict
        Output and inputs of a field that is given by its size.
    """

    n_points: int
    n_directions: int
    loss: ResidualLoss
    sides: str
    sampling: str
    points: str
    energy_check: bool
    head: dict[str, Any] = field(factory=dict)


# What a choice by itself is worth: tests/benchmarks/rooms.py --set 'points="area"', and likewise for the others.
_ROOMS = Preset(
    n_points=1024,
    n_directions=4,
    loss=Tweedie(),
    sides="reflected",
    sampling="nee",
    points="views",
    energy_check=True,
)
# Cho and Cho, "Fast and Accurate Neural Rendering Using Semi-Gradients", 2024, section 5, as Hadadan et al. 2021.
_PAPER = Preset(
    n_points=2**14,
    n_directions=32,
    loss=RelativeL2(),
    sides="outgoing",
    sampling="bsdf",
    points="area",
    energy_check=False,
    head=PLAIN,
)
PRESETS: dict[str, Preset] = {"rooms": _ROOMS, "paper": _PAPER}


def as_preset(value: Any) -> str:
    """Return the name of a preset, or raise."""
    if not isinstance(value, str):
        raise TypeError(f"'preset' must be one of {', '.join(PRESETS)}: {value!r}")
    by_name(PRESETS, value, "preset")
    return value.lower()


def by_preset(name: str) -> Any:
    """Return a default of attrs for a field: that of the preset which `self` has."""

    def value(problem: Any) -> Any:
        return getattr(PRESETS[problem.preset], name)

    return Factory(value, takes_self=True)
