"""Path of imports of processes, on which they find the invopt of their parent."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["import_path"]

_PACKAGE = Path(__file__).parents[2]


def import_path() -> list[str]:
    """Return `sys.path`, led by this invopt's folder if it would not be found.

    An entry of `sys.path` may be relative, and the current folder another one than at the import.
    """
    spec = PathFinder.find_spec(_PACKAGE.name, sys.path)
    found = None if spec is None else spec.origin
    own = _PACKAGE / "__init__.py"
    is_own = found is not None and os.path.exists(found) and os.path.samefile(found, own)
    return [*sys.path] if is_own else [str(_PACKAGE.parent.absolute()), *sys.path]
