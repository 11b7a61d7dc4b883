"""Problems: one file a task."""

if __name__ != "invopt.problems":
    # By another name, every class here would exist a second time.
    raise ImportError(f"this folder is invopt.problems, not {__name__}: write `from invopt import problems`")

from .box2 import Box2
from .box10 import Box10
from .bunny import Bunny
from .function import Function
from .greybox import GreyBox
from .mug import Mug
from .mug_cnn import MugCNN
from .mug_cnn5 import MugCNN5
from .quadratic import Quadratic
from .radiosity import NeuralRadiosity
from .scene import Scene
from .shadow import Shadow
from .texture import Texture

__all__ = [
    "Box2",
    "Box10",
    "Bunny",
    "Function",
    "GreyBox",
    "Mug",
    "MugCNN",
    "MugCNN5",
    "NeuralRadiosity",
    "Quadratic",
    "Scene",
    "Shadow",
    "Texture",
]
