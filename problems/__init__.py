"""Problems: one file a task."""

from .box2 import Box2
from .box10 import Box10
from .bunny import Bunny
from .function import Function
from .mug import Mug
from .quadratic import Quadratic
from .radiosity import NeuralRadiosity
from .scene import Scene
from .shadow import Shadow
from .texture import Texture

__all__ = ["Box2", "Box10", "Bunny", "Function", "Mug", "NeuralRadiosity", "Quadratic", "Scene", "Shadow", "Texture"]
