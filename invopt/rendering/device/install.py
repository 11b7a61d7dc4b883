"""Installation of LLVM: by apt without questions, else the command to run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from attrs import frozen

from invopt.rendering.device import llvm
from invopt.rendering.device.probe import missing_packages

__all__ = ["Installation", "advice", "install"]

# Versions in the order in which they are tried: those known to work first, then the others from the newest on.
_VERSIONS = (
    *llvm.PREFERRED,
    *(version for version in range(max(llvm.PREFERRED), llvm.OLDEST - 1, -1) if version not in llvm.PREFERRED),
)
# Seconds: enough to download 130 MB, the size of the library before it is packed, at 1.2 Mbit/s.
_APT_TIMEOUT = 900.0


@frozen
class Installation:
    """Outcome of `install`.

    Parameters
    ----------
    library : Library or None
        The usable library, or None.
    message : str
        What was done, or the command to run, in one line.
    """

    library: llvm.Library | None
    message: str


def advice() -> str:
    """The command that installs what rendering lacks on this machine."""
    if sys.platform == "darwin":
        return "brew install llvm@19"
    missing = missing_packages()
    if shutil.which("apt-get") is None:
        also = "".join(f" and {package}" for package in missing)
        return f"install LLVM 19 (libLLVM.so.19){also} with your package manager"
    packages = [*missing, _known_package() or f"libllvm{_VERSIONS[0]}"]
    command = f"apt-get install -y {' '.join(packages)}"
    return command if _is_root() else f"sudo {command}"


def install() -> Installation:
    """Install what rendering lacks, if that needs neither a password nor a question.

    Returns
    -------
    Installation
        If a usable library is present, nothing is run and the network is not used.
    """
    missing = missing_packages()
    if not missing and (library := llvm.find()) is not None:
        return Installation(library, f"LLVM {library.version} is usable: {library.path}")
    prefix = _privileges()
    if prefix is None or shutil.which("apt-get") is None:
        return Installation(None, f"no usable LLVM; run: {advice()}")
    failure = _apt(prefix, missing) if missing else ""
    if not failure and (library := llvm.find()) is not None:
        return Installation(library, f"installed {' '.join(missing)}; LLVM {library.version}: {library.path}")
    if _known_package() is None:
        _run([*prefix, "apt-get", "update", "-q"])
    package = _known_package()
    if package is None:
        return Installation(None, f"no usable LLVM and apt offers none; run: {advice()}")
    failure = failure or _apt(prefix, [package])
    library = llvm.find()
    if library is None:
        return Installation(None, f"installing {package} gave no usable LLVM ({failure}); run: {advice()}")
    return Installation(library, f"installed {' '.join([*missing, package])}: {library.path}")


def _apt(prefix: list[str], packages: list[str]) -> str:
    """Install packages; return the reason if that failed, else nothing."""
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", *packages]
    if _run(command)[0]:
        return ""
    # Old package lists name files that no longer exist, and a new machine has no lists.
    _run([*prefix, "apt-get", "update", "-q"])
    done, output = _run(command)
    return "" if done else output


def _is_root() -> bool:
    return os.geteuid() == 0 if hasattr(os, "geteuid") else False


def _privileges() -> list[str] | None:
    """Prefix of a command that needs root; None if a password would be needed."""
    if _is_root():
        return []
    if shutil.which("sudo") is not None and _run(["sudo", "-n", "true"])[0]:
        return ["sudo", "-n"]
    return None


def _known_package() -> str | None:
    """First LLVM package that apt can install without the network."""
    for version in _VERSIONS:
        known, policy = _run(["apt-cache", "policy", f"libllvm{version}"])
        if known and "Candidate:" in policy and "Candidate: (none)" not in policy:
            return f"libllvm{version}"
    return None


def _run(command: list[str]) -> tuple[bool, str]:
    """Whether a command succeeded, and its output or the reason."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Otherwise a translated apt does not print "Candidate".
            env={**os.environ, "LC_ALL": "C"},
            timeout=_APT_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    if done.returncode == 0:
        return True, done.stdout
    lines = done.stdout.strip().splitlines()
    return False, lines[-1] if lines else f"exit status {done.returncode}"
