"""Library code, which is told by its name, against the user's own, which is told by its content."""

from __future__ import annotations

import importlib.util
import site
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import ModuleType

__all__ = ["is_library", "is_own_module", "top_level"]

# Our own classes are told by name and fields: a run goes on under a newer version, which the journal says.
_OURS = "invopt"


def top_level(module: str) -> str:
    """First part of a module's name."""
    return module.partition(".")[0]


def is_library(module: str | None) -> bool:
    """Whether a module is part of Python, of an installed package, or ours; by where it lies, not by its name alone."""
    if module is None or module == "__main__":
        return False
    top = top_level(module)
    if top == _OURS or top in sys.builtin_module_names:
        return True
    places = _places(top)
    # Parts of Python that are frozen into it lie nowhere; beside the script, a file may have any of their names.
    return any(_is_installed(place) for place in places) if places else top in sys.stdlib_module_names


def is_own_module(value: object) -> bool:
    """Whether this is a module of the user's."""
    if not isinstance(value, ModuleType):
        return False
    file = getattr(value, "__file__", None)
    if isinstance(file, str) and Path(file).is_absolute():
        # Under whatever name it was loaded; our own parts may lie in a checkout.
        return not (_is_installed(file) or top_level(value.__name__) == _OURS)
    return not is_library(value.__name__)


def _places(top: str) -> list[str]:
    """Files or folders of a module, which need not be loaded."""
    module = sys.modules.get(top)
    if module is not None:
        file = getattr(module, "__file__", None)
        return [file] if file else [str(folder) for folder in getattr(module, "__path__", ())]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    return [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())


@cache
def _is_installed(file: str) -> bool:
    path = Path(file).absolute()
    return any(path.is_relative_to(folder) for folder in _library_folders())


@cache
def _library_folders() -> tuple[Path, ...]:
    named = sysconfig.get_paths()
    folders = {named[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    # Where a virtual environment sees the packages of another one, and where Python itself is in an archive.
    archive = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    folders |= {entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages", archive)}
    return tuple(Path(folder).absolute() for folder in folders)
