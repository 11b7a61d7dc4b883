"""Library code, identified by name, and user code, identified by content."""

from __future__ import annotations

import importlib.util
import site
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import ModuleType

__all__ = ["is_library", "is_own_module", "top_level"]

# Our own classes count by name and fields, so that a run continues under a newer version; the journal records it.
_OURS = "invopt"


def top_level(module: str) -> str:
    """Return the first part of a module's name."""
    return module.partition(".")[0]


def is_library(module: str | None) -> bool:
    """Return whether a module belongs to Python, an installed package or invopt.

    The place of its file decides.
    """
    if module is None or module == "__main__":
        return False
    top = top_level(module)
    if top == _OURS or top in sys.builtin_module_names:
        return True
    places = _places(top)
    # Frozen modules of Python have no file; a user's file may have any of their names.
    return any(_is_installed(place) for place in places) if places else top in sys.stdlib_module_names


def is_own_module(value: object) -> bool:
    """Return whether this is a module of the user's."""
    if not isinstance(value, ModuleType):
        return False
    file = getattr(value, "__file__", None)
    if isinstance(file, str) and Path(file).is_absolute():
        # Whatever name it was loaded by; our own modules may be in a checkout.
        return not (_is_installed(file) or top_level(value.__name__) == _OURS)
    return not is_library(value.__name__)


def _places(top: str) -> list[str]:
    """Return the files or folders of a module, which need not be loaded."""
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
    # A virtual environment may see the packages of another one, and Python itself may be in an archive.
    archive = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    folders |= {entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages", archive)}
    return tuple(Path(folder).absolute() for folder in folders)
