"""Neural radiosity: radiance fields learned from the rendering equation."""

from .field import Field
from .guiding import Guide
from .hash_grid import HashGrid
from .losses import L2, MAE, RMSE, Huber, RelativeL2, SymmetricL2
from .objective import RadiosityObjective
from .problem import NeuralRadiosity
from .saved import RadianceField

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
]
