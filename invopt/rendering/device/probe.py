"""Trial renders in a subprocess, whose results are remembered.

A library that aborts the process aborts only the trial.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["cache_file", "installed_version", "missing_packages", "renders"]

# Seconds. A trial takes two on an idle machine; a busy one takes long to import and compile.
_TRIAL_TIMEOUT = 120.0
# Characters of an error that a message quotes: one or two lines.
_MOST_CHARACTERS = 200

# Shared libraries that Dr.Jit's wheel needs but does not contain, and their packages in Debian and Ubuntu.
_LINKED = {"libatomic.so.1": "libatomic1"}

# A bad LLVM may run simple kernels (15 does), and fail only in ray tracing with a loop.
_TRIAL = """
import sys
import mitsuba as mi
mi.set_variant(sys.argv[1])
scene = mi.load_dict({
    "type": "scene",
    "integrator": {"type": "path", "max_depth": 3},
    "sensor": {"type": "perspective", "film": {"type": "hdrfilm", "width": 8, "height": 8}},
    "light": {"type": "constant"},
    "shape": {"type": "cube", "to_world": mi.ScalarTransform4f().translate([0, 0, 5])},
})
import numpy as np
image = np.array(mi.render(scene, spp=2))
sys.exit(None if np.isfinite(image).all() and image.mean() > 0 else "the picture is black or not finite")
"""


def renders(variant: str, key: str, env: dict[str, str]) -> tuple[bool, str]:
    """Whether a trial render in a subprocess succeeds, and if not, why.

    Parameters
    ----------
    variant : str
        Mitsuba's name of the variant.
    key : str
        What the result depends on besides the versions of Mitsuba and Dr.Jit.
    env : dict of str
        Environment variables to set for the trial.
    """
    full_key = f"{variant}|{key}|mitsuba {installed_version('mitsuba')}|drjit {installed_version('drjit')}"
    known = _load()
    if full_key in known:
        return known[full_key] == "", known[full_key]
    try:
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL, variant],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TRIAL_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # Not remembered: the machine may have been busy.
        return False, f"its trial render took more than {_TRIAL_TIMEOUT:.0f} s"
    why = "" if trial.returncode == 0 else _reason(trial.returncode, trial.stderr)
    # A crash is remembered. Other failures may have passing causes.
    if trial.returncode <= 0:
        _store({**known, full_key: why})
    return why == "", why


def missing_packages() -> list[str]:
    """Debian packages with libraries that Dr.Jit needs and this machine lacks."""
    return [package for library, package in _LINKED.items() if sys.platform == "linux" and not _loads(library)]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def installed_version(package: str) -> str:
    """Version of an installed package, without importing it; empty if missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def cache_file() -> Path:
    """File in which results of trials are kept."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(folder) / "invopt" / "backends.json"


def _reason(code: int, stderr: str) -> str:
    if code < 0:
        return f"its trial render crashed (signal {-code})"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return f"its trial render failed: {lines[-1][:_MOST_CHARACTERS] if lines else f'exit status {code}'}"


def _load() -> dict[str, str]:
    try:
        known = json.loads(cache_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in known.items()} if isinstance(known, dict) else {}


def _store(verdicts: dict[str, str]) -> None:
    path = cache_file()
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    # The cache only saves time: a read-only home is no error.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(verdicts, indent=1), encoding="utf-8")
        temporary.replace(path)
