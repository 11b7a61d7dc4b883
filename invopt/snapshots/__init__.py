"""Snapshots: the state of a training between two iterations, in one file, from which it goes on."""

from invopt.snapshots.checkpoint import Checkpoint, as_checkpoint
from invopt.snapshots.snapshot import Snapshot, reduced, restored

__all__ = ["Checkpoint", "Snapshot", "as_checkpoint", "reduced", "restored"]
