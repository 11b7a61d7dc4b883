"""LLVM libraries on this machine, their versions, and whether they work.

Versions are read without loading a library. A library is tried in a subprocess.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from invopt.rendering.device import probe

__all__ = ["ENVIRONMENT", "Library", "find", "from_environment", "libraries", "version_of"]

ENVIRONMENT = "DRJIT_LIBLLVM_PATH"
# Dr.Jit refuses 14 for its pointers; 15 and 16 abort the process at the first ray-tracing kernel.
OLDEST = 17
# Known to work with Dr.Jit 1.5; others are tried after these, the newest first.
PREFERRED = (19, 22)

_FOLDERS = (
    "/usr/lib/*-linux-gnu",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/llvm-*/lib",
    "/usr/lib64/llvm*/lib",
    "/usr/local/lib",
    "/opt/homebrew/opt/llvm*/lib",
    "/usr/local/opt/llvm*/lib",
    "/opt/local/libexec/llvm-*/lib",
)
# libLLVM-14.so.1, libLLVM-14.0.6.so.1, libLLVM.so.19.1, libLLVM.19.1.dylib, libLLVM-19.dylib.
_NAME = re.compile(r"libLLVM(?:[-.](\d+)[\d.]*)?\.(?:so|dylib)(?:\.(\d+))?(?:\.\d+)*")
# Homebrew and MacPorts name the version in the folder only: opt/llvm@19, Cellar/llvm/19.1.7, llvm-19.
_FOLDER = re.compile(r"llvm(?:@|-|/)(\d+)")
# The name of the library is in the first megabytes of the file.
_SEARCHED_BYTES = 16 << 20
# Seconds for listing the cache of the loader, which takes milliseconds.
_LISTING_TIMEOUT = 20
# Names of the library itself in a binary, then the version it prints.
_IN_FILE = (rb"libLLVM-(\d+)[\d.]*\.(?:so|dylib)", rb"libLLVM\.(?:so\.)?(\d+)\.\d+", rb"LLVM version (\d+)\.\d+\.\d+")
# First bytes of ELF and Mach-O files.
_FIRST_BYTES = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


@frozen
class Library:
    """An LLVM library.

    Parameters
    ----------
    path : Path
        The file, with links resolved.
    version : int or None
        Major version; None if unknown.
    """

    path: Path
    version: int | None

    def verdict(self) -> tuple[bool, str]:
        """Whether Mitsuba can render with it, and if not, why.

        The first answer takes seconds; it is remembered.
        """
        if not is_binary(self.path):
            return False, "it is missing or not a shared library"
        if self.version is None:
            # Some old versions abort only in kernels that a short trial does not contain.
            return False, "its version is unknown"
        if self.version < OLDEST:
            return False, f"LLVM {self.version} is too old, at least {OLDEST} is needed"
        try:
            stamp = self.path.stat().st_mtime_ns
        except OSError as error:
            return False, f"it cannot be read: {error.strerror}"
        return probe.renders("llvm_ad_rgb", f"{self.path}|{stamp}", {ENVIRONMENT: str(self.path)})


def find() -> Library | None:
    """Best usable library of this machine, the user's first; None if there is none."""
    candidates = libraries()
    if (own := from_environment()) is not None:
        candidates = [own, *(library for library in candidates if library != own)]
    return next((library for library in candidates if library.verdict()[0]), None)


def from_environment() -> Library | None:
    """Library that DRJIT_LIBLLVM_PATH names, usable or not; None if it is not set."""
    value = os.environ.get(ENVIRONMENT)
    if not value:
        return None
    if os.sep not in value:
        # The loader searches its folders for a name without a folder.
        value = next((str(path) for path in _candidates() if path.name == value), value)
    path = Path(value).expanduser()
    return Library(Path(os.path.realpath(path)), version_of(path))


def libraries() -> list[Library]:
    """Libraries in the loader's cache and the usual folders, best first."""
    found = {Path(os.path.realpath(path)) for path in _candidates()}
    known = [Library(path, version_of(path)) for path in sorted(found) if is_binary(path)]
    return sorted(known, key=_rank)


def version_of(path: Path) -> int | None:
    """Major version of a library by its contents, else by its name; None if unknown."""
    real = Path(os.path.realpath(path))
    # The contents are more reliable than the name, which a copy may have lost.
    return _version_in_file(real) or version_in_name(str(real))


def version_in_name(path: str) -> int | None:
    """Major version in the name of a library or its folder; None if there is none."""
    folder, _, name = path.rpartition("/")
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    digits = match[1] or match[2]
    if digits is None:
        in_folder = _FOLDER.findall(folder)
        digits = in_folder[-1] if in_folder else None
    return None if digits is None else int(digits)


def is_binary(path: Path) -> bool:
    """Whether the file is an ELF or Mach-O binary."""
    try:
        with path.open("rb") as file:
            return file.read(4) in _FIRST_BYTES
    except OSError:
        return False


def _version_in_file(path: Path) -> int | None:
    if not is_binary(path):
        return None
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
            for pattern in _IN_FILE:
                # The whole of 130 MB would take a second.
                if match := re.search(pattern, contents[:_SEARCHED_BYTES]):
                    return int(match[1])
    except (OSError, ValueError):
        return None
    return None


def _rank(library: Library) -> tuple[int, int]:
    version = library.version or 0
    return (PREFERRED.index(version) if version in PREFERRED else len(PREFERRED), -version)


def _candidates() -> Iterator[Path]:
    for folder in _FOLDERS:
        yield from (path for path in Path("/").glob(f"{folder[1:]}/libLLVM*") if _NAME.fullmatch(path.name))
    ldconfig = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
    if ldconfig is None or not sys.platform.startswith("linux"):
        return
    try:
        listing = subprocess.run(
            [ldconfig, "-p"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LISTING_TIMEOUT,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return
    for match in re.finditer(r"=> (\S*/libLLVM\S*)", listing):
        if _NAME.fullmatch(Path(match[1]).name):
            yield Path(match[1])
