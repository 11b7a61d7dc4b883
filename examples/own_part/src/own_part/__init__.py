"""Parts for invopt: a problem, an estimator and a method."""

from own_part.light_barrier import LightBarrier
from own_part.random_directions import RandomDirections
from own_part.signum import Signum

__all__ = ["LightBarrier", "RandomDirections", "Signum"]
