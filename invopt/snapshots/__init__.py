"""Snapshots: the state of a training between two iterations, in a file from which it continues."""

from invopt.snapshots.checkpoint import Checkpoint, as_checkpoint
from invopt.snapshots.snapshot import Snapshot, reduced, restored

__all__ = ["Checkpoint", "Snapshot", "as_checkpoint", "reduced", "restored"]
