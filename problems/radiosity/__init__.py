"""Neural radiosity: radiance fields trained with the rendering equation."""

from .fields.field import Field
from .fields.hash_grid import HashGrid
from .losses import L2, MAE, RMSE, Huber, RelativeL2, SymmetricL2, Tweedie
from .objective import RadiosityObjective
from .pictures.radiance_field import RadianceField
from .pictures.registering import register_integrator
from .problem import NeuralRadiosity
from .transport.guiding import Guide

__all__ = [
    "L2",
    "MAE",
    "RMSE",
    "Field",
    "Guide",
    "HashGrid",
    "Huber",
    "NeuralRadiosity",
    "RadianceField",
    "RadiosityObjective",
    "RelativeL2",
    "SymmetricL2",
    "Tweedie",
    "register_integrator",
]
