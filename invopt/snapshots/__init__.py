"""Snapshots: files with the state of a training, from which it continues."""

from invopt.snapshots.checkpoint import Checkpoint, as_checkpoint
from invopt.snapshots.snapshot import Snapshot, reduced, restored

__all__ = ["Checkpoint", "Snapshot", "as_checkpoint", "reduced", "restored"]
