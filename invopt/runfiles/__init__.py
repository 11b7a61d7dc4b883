"""Run files: a scene, its photographs, its unknowns and how to find them, in TOML."""

from invopt.runfiles.run_file import RunFile, read_run_file

__all__ = ["RunFile", "read_run_file"]
