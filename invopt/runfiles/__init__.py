"""Run files in TOML: a problem, or a scene with photographs; and how to solve it."""

from invopt.runfiles.command import launch, of_command
from invopt.runfiles.run_file import RunFile, read_run_file
from invopt.runfiles.saving import save_run_file

__all__ = ["RunFile", "launch", "of_command", "read_run_file", "save_run_file"]
