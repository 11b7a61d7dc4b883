"""Library code, which is told by its name, against the user's own, which is told by its content."""

from __future__ import annotations

import site
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import ModuleType

__all__ = ["is_library", "top_level"]

# Our own classes are told by name and fields: a run goes on under a newer version, which the journal says.
_OURS = "invopt"


def top_level(module: str) -> str:
    """First part of a module's name."""
    return module.partition(".")[0]


def is_library(module: str | None) -> bool:
    """Whether a module is part of Python, of an installed package, or ours."""
    if module is None or module == "__main__":
        return False
    top = top_level(module)
    if top == _OURS or top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return True
    return any(_is_installed(folder) for folder in _folders(sys.modules.get(top)))


def _folders(module: ModuleType | None) -> list[str]:
    if module is None:
        return []
    file = getattr(module, "__file__", None)
    return [file] if file else list(getattr(module, "__path__", []))


@cache
def _is_installed(file: str) -> bool:
    path = Path(file).absolute()
    return any(path.is_relative_to(folder) for folder in _library_folders())


@cache
def _library_folders() -> tuple[Path, ...]:
    named = sysconfig.get_paths()
    folders = {named[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    # Where a virtual environment sees the packages of another one.
    folders |= {entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")}
    return tuple(Path(folder).absolute() for folder in folders)
