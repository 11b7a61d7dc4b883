"""Files that are written as a whole or not at all, with a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import uuid
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from invopt.core.machine.processes import runs
from invopt.exceptions import CheckpointError

__all__ = ["check_path", "read", "remove_orphans", "write"]

_KEY, _SUM = "invopt", "sha256"


def check_path(path: Path) -> None:
    """Refuse a folder, a pipe or the like.

    A path that does not exist may become a file.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        what = "folder" if stat.S_ISDIR(mode) else "pipe, device or socket"
        raise CheckpointError(f"checkpoint {str(path)!r} is a {what}: give the name of a file")


def write(path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file with a JSON header and a checksum, as a whole.

    `OSError` if that fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    text = json.dumps(header)
    try:
        try:
            save_file(tensors, temporary, metadata={_KEY: text, _SUM: _checksum(text, tensors)})
        except SafetensorError as error:
            raise OSError(f"{str(path)!r} cannot be written: {error}") from None
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a file that `write` wrote."""
    check_path(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copies, which are aligned: sums over unaligned numbers may differ in the last bits.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (OSError, SafetensorError, ValueError, TypeError, RuntimeError, MemoryError, OverflowError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from None
    text = metadata.get(_KEY)
    if text is None:
        raise CheckpointError(f"{str(path)!r} was not written by invopt")
    header = _header(path, text)
    if _SUM in metadata and metadata[_SUM] != _checksum(text, tensors):
        raise CheckpointError(f"{str(path)!r} is damaged: its checksum is wrong")
    return header, tensors


def _header(path: Path, text: str) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{str(path)!r} is damaged: its header cannot be read: {error}") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{str(path)!r} was not written by invopt")
    return header


def _checksum(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on disk.

    Windows cannot sync a folder.
    """
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_orphans(path: Path) -> None:
    """Remove temporary files of processes that died while they wrote this file."""
    for orphan in path.parent.glob(f".{path.name}.*.tmp"):
        pid = orphan.name.removeprefix(f".{path.name}.").partition(".")[0]
        if pid.isdecimal() and not runs(int(pid)):
            orphan.unlink(missing_ok=True)
