"""Problems, one file each.

A problem's module is imported when it is first used, so that a function of numbers loads no renderer.
"""

if __name__ != "invopt.problems":
    # Under another name, every class here would exist a second time.
    raise ImportError(f"this folder is invopt.problems, not {__name__}: write `from invopt import problems`")

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = {
    "Box2": "box2",
    "Box10": "box10",
    "Bunny": "bunny",
    "Function": "function",
    "GreyBox": "greybox",
    "Mug": "mug",
    "MugCNN": "mug_cnn",
    "MugCNN5": "mug_cnn5",
    "Quadratic": "quadratic",
    "NeuralRadiosity": "radiosity",
    "Scene": "scene",
    "Shadow": "shadow",
    "Texture": "texture",
}


def __getattr__(name: str) -> Any:
    """Import the problem of this name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    """Names here, including problems not yet imported."""
    return sorted({*globals(), *__all__})
