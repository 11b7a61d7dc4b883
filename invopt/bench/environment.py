"""Environment of a benchmark, on which its numbers and times depend."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from invopt.rendering.backend import foresee

__all__ = ["environment"]

_PACKAGES = ("numpy", "scipy", "torch", "mitsuba", "drjit", "cma", "DFO-LS", "Py-BOBYQA", "optimagic")


def environment() -> dict[str, Any]:
    """Versions, backend and commit; processor, system and command."""
    return {
        "numbers": {
            "invopt": _version("invopt"),
            "commit": _commit(),
            "python": platform.python_version(),
            "backend": foresee().value,
            **{name: _version(name) for name in _PACKAGES},
        },
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
        },
        "command": " ".join(["invopt", *sys.argv[1:]]),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the checkout that holds the package, with a mark if files differ.

    None outside of a checkout.
    """
    folder = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        found = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
        return found.stdout.strip()

    try:
        if git("ls-files", "__init__.py") != "__init__.py":
            return None
        changed = git("diff", "HEAD")
        mark = f"-modified-{hashlib.sha256(changed.encode()).hexdigest()[:8]}" if changed else ""
        return git("rev-parse", "HEAD") + mark
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
