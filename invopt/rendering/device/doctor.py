"""Report of `invopt doctor` on this machine."""

from __future__ import annotations

import os
import platform

from invopt.exceptions import BackendError
from invopt.rendering.choice import Backend, Choice, choose
from invopt.rendering.device import cuda, install, llvm
from invopt.rendering.device.probe import installed_version

__all__ = ["Row", "report"]

# Item, status, advice; the advice is empty if there is nothing to do.
Row = tuple[str, str, str]


def report() -> list[Row]:
    """Rows of findings and advice about rendering on this machine.

    Nothing is rendered in this process, but in subprocesses, so that it does not wait for the run of another thread.
    """
    rows: list[Row] = [("python", platform.python_version(), "")]
    for package in ("invopt", "torch", "mitsuba", "drjit"):
        found = installed_version(package)
        rows.append((package, found or "missing", "" if found else f"pip install {package}"))
    rows.append(("cores", f"{_cores()} usable", ""))
    rows.append(_cuda_row())
    rows += _llvm_rows()
    try:
        choice = choose()
    except BackendError as error:
        return [*rows, ("backend", "unusable", str(error))]
    return [*rows, _backend_row(choice)]


def _cores() -> int:
    # Containers and batch systems give a process fewer cores than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cuda_row() -> Row:
    count, driver = cuda.devices()
    if count == 0:
        return ("cuda", "no driver", "")
    usable, why = cuda.verdict()
    status = f"{count} device(s), driver for CUDA {driver // 1000}.{driver % 1000 // 10}"
    return ("cuda", f"{status}: usable" if usable else f"{status}: {why}", "")


def _llvm_rows() -> list[Row]:
    found = [("llvm", library) for library in llvm.libraries()]
    if (own := llvm.from_environment()) is not None:
        found.insert(0, (llvm.ENVIRONMENT, own))
    rows = []
    for item, library in found:
        usable, why = library.verdict()
        version = "?" if library.version is None else library.version
        advice = f"unset {llvm.ENVIRONMENT}" if item != "llvm" and not usable else ""
        rows.append((item, f"{version} at {library.path}: {'usable' if usable else why}", advice))
    return rows or [("llvm", "none found", "")]


def _backend_row(choice: Choice) -> Row:
    if choice.backend is Backend.SCALAR and choice.note:
        return ("backend", choice.backend.value, install.advice())
    return ("backend", choice.backend.value, "")
