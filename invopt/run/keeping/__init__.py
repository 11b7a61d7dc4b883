"""Journals and checkpoints of runs, and the run that a call continues."""
