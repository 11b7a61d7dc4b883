"""The only place that imports Mitsuba and Dr.Jit, and only once a scene is opened."""

from invopt.rendering._install import Installation, install
from invopt.rendering.backend import Backend, activate, active, choose, set_threads
from invopt.rendering.doctor import report
from invopt.rendering.meshes import Mesh
from invopt.rendering.scene import LiveScene

__all__ = [
    "Backend",
    "Installation",
    "LiveScene",
    "Mesh",
    "activate",
    "active",
    "choose",
    "install",
    "report",
    "set_threads",
]
