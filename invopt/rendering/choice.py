"""Choice of the backend: the user's, else CUDA, else LLVM, else scalar.

Neither Mitsuba nor Dr.Jit is loaded for it.
"""

from __future__ import annotations

import enum
import os

from attrs import frozen

from invopt.core.formatting import shown
from invopt.exceptions import BackendError, suggest
from invopt.rendering.device import cuda, install, llvm
from invopt.rendering.device.probe import missing_packages

__all__ = ["ENVIRONMENT", "Backend", "Choice", "choose"]

# Variable that names the backend, for this process and those that it starts.
ENVIRONMENT = "INVOPT_BACKEND"


class Backend(enum.Enum):
    """Where rays are traced.

    CUDA on a GPU, LLVM in compiled kernels on the CPU, SCALAR one ray at a time.
    """

    CUDA = "cuda"
    LLVM = "llvm"
    SCALAR = "scalar"

    @property
    def variant(self) -> str:
        """Mitsuba's name of the variant; the compiled variants can differentiate."""
        return "scalar_rgb" if self is Backend.SCALAR else f"{self.value}_ad_rgb"

    @classmethod
    def parse(cls, value: Backend | str) -> Backend:
        """Return the backend that `value` is or names."""
        try:
            return cls(value)
        except ValueError:
            raise BackendError(
                f"unknown backend {shown(value)}; {suggest(str(value), [backend.value for backend in cls])}"
            ) from None


@frozen
class Choice:
    """Backend chosen for this machine.

    Parameters
    ----------
    backend : Backend
        Backend to render with.
    library : Library or None
        The LLVM library, if the backend is LLVM.
    note : str, default ""
        Why a faster backend is not used, in one line; empty if there is nothing to say.
    """

    backend: Backend
    library: llvm.Library | None = None
    note: str = ""


def choose(backend: Backend | str | None = None) -> Choice:
    """Choose a backend without loading Mitsuba or Dr.Jit.

    Parameters
    ----------
    backend : Backend or str, optional
        "cuda", "llvm" or "scalar"; by default the environment variable INVOPT_BACKEND, else the fastest usable backend.

    Raises
    ------
    BackendError
        If the requested backend is not usable on this machine.
    """
    if missing := missing_packages():
        raise BackendError(f"Dr.Jit cannot be loaded without {', '.join(missing)}; run: {install.advice()}")
    wanted = backend or os.environ.get(ENVIRONMENT) or None
    if wanted is not None:
        return _requested(Backend.parse(wanted))
    usable, why = cuda.verdict()
    if usable:
        return Choice(Backend.CUDA)
    notes = [f"CUDA is not usable: {why}"] if cuda.devices()[0] else []
    library = llvm.find()
    notes += _note_on_environment()
    if library is not None:
        notes += [f"rendering with LLVM {library.version}"] if notes else []
        return Choice(Backend.LLVM, library, "; ".join(notes))
    notes += ["no usable LLVM, rendering with the slower scalar backend", f"to speed it up: {install.advice()}"]
    return Choice(Backend.SCALAR, note="; ".join(notes))


def _requested(backend: Backend) -> Choice:
    if backend is Backend.CUDA:
        usable, why = cuda.verdict()
        if not usable:
            raise BackendError(f"backend 'cuda' is not usable: {why}; run: invopt doctor")
        return Choice(backend)
    if backend is Backend.LLVM:
        library = llvm.find()
        if library is None:
            why = "; ".join([*_note_on_environment(), "no usable LLVM library was found"])
            raise BackendError(f"backend 'llvm' is not usable: {why}; run: {install.advice()}")
        return Choice(backend, library, "; ".join(_note_on_environment()))
    return Choice(backend)


def _note_on_environment() -> list[str]:
    """Why the library that the user named is not used; empty if it is."""
    own = llvm.from_environment()
    if own is None or own.verdict()[0]:
        return []
    return [f"{llvm.ENVIRONMENT}={os.environ[llvm.ENVIRONMENT]} is ignored: {own.verdict()[1]}"]
