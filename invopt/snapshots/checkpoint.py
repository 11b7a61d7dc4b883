"""Checkpoint: the file that keeps a training, and how often it is written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import torch
from attrs import field, frozen, validators
from torch import Tensor

from invopt.core.formatting import shown
from invopt.core.validators import as_path, integer, real
from invopt.exceptions import CheckpointError
from invopt.snapshots.classes import state_classes
from invopt.snapshots.codec import check, decode, encode
from invopt.snapshots.files import check_path, read, remove_orphans, write
from invopt.snapshots.snapshot import Snapshot

__all__ = ["Checkpoint", "as_checkpoint"]

# Version of the format. 3: a checksum, and digests of the parts of the run.
_CHECKPOINT_VERSION = 3


def _as_path(value: str | Path) -> Path:
    return as_path("path", value)


@frozen
class Checkpoint:
    """The file that keeps the training of a network, and how often it is written.

    Parameters
    ----------
    path : str or Path
        A safetensors file with a JSON header and a checksum, replaced as a whole each time. A run that finds it
        continues from it.
    every : int, optional
        Iterations after which the file is written, besides `seconds`.
    seconds : float, default 60
        Seconds after which the file is written: at most so many are lost if the process is killed. A run that ends, is
        interrupted or fails writes it too.
    """

    path: Path = field(converter=_as_path)
    every: int | None = field(default=None, validator=validators.optional(integer(1)))
    seconds: float = field(default=60.0, kw_only=True, validator=real(minimum=0))

    def __attrs_post_init__(self) -> None:
        check_path(self.path)

    def save(self, snapshot: Snapshot, identity: dict[str, str]) -> None:
        """Write a snapshot and the digests of the parts of its run.

        `OSError` if that is impossible.
        """
        tensors: dict[str, Tensor] = {}
        body = {item.name: encode(getattr(snapshot, item.name), tensors) for item in attrs.fields(Snapshot)}
        write(self.path, {"version": _CHECKPOINT_VERSION, "identity": identity, "body": body}, tensors)

    def load(self, identity: dict[str, str], parts: Iterable[object], device: torch.device) -> Snapshot | None:
        """Read the snapshot; None if there is no file.

        Parameters
        ----------
        identity : dict of str
            Digests of the parts of the run.
        parts : iterable of object
            Problem, estimator and method: only classes of their packages are instantiated.
        device : torch.device
            Device of tensors that were not on the CPU.

        Raises
        ------
        CheckpointError
            If the file is damaged, or of another run; the message says what differs.
        """
        if self.path.parent.is_dir():
            remove_orphans(self.path)
        if not self.path.exists():
            return None
        header, tensors = read(self.path)
        self._check_header(header, identity)
        classes = state_classes(parts)
        check({"kind": "dict", "value": [[name, item] for name, item in header["body"].items()]}, tensors, classes)
        try:
            return Snapshot(**{name: decode(value, tensors, classes, device) for name, value in header["body"].items()})
        except (TypeError, ValueError, KeyError, RuntimeError) as error:
            raise CheckpointError(f"{str(self.path)!r} is damaged: {error}") from None

    def _check_header(self, header: dict[str, Any], identity: dict[str, str]) -> None:
        if header.get("version") != _CHECKPOINT_VERSION:
            raise CheckpointError(
                f"{str(self.path)!r} has version {header.get('version')}, and this invopt reads {_CHECKPOINT_VERSION}: "
                f"continue with the invopt that wrote it, or give another path"
            )
        known, body = header.get("identity"), header.get("body")
        names = {item.name for item in attrs.fields(Snapshot)}
        if not isinstance(known, dict) or not isinstance(body, dict) or body.keys() != names:
            raise CheckpointError(f"{str(self.path)!r} is damaged: its header lacks parts")
        for name, value in identity.items():
            # Parts that were not given at the start, such as a generator, may differ.
            if name in known and known[name] != value:
                raise CheckpointError(
                    f"checkpoint {str(self.path)!r} is of another {name}: give another path, or remove the file to "
                    "start again"
                )

    def check_state(self, memory: Any, state: Any) -> None:
        """Refuse a state that cannot be written, before the first evaluation."""
        for value in (memory, state):
            encode(value, {})


def as_checkpoint(value: Any) -> Checkpoint | None:
    """Return a checkpoint or None as it is, a path as a `Checkpoint`."""
    if value is None or isinstance(value, Checkpoint):
        return value
    if isinstance(value, str | Path) and str(value):
        return Checkpoint(as_path("checkpoint", value))
    raise TypeError(f"'checkpoint' must be a path or a Checkpoint: {shown(value)}")
