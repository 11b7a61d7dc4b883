"""Records of runs: files with the result, its pictures and its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.core.objective import Capability, Objective
from invopt.core.result import History, OptimizeResult

__all__ = ["write_all", "write_record", "write_scene"]


def write_all(objective: Objective, result: OptimizeResult, start: NDArray[np.float64], out: Path) -> list[Path]:
    """Write the record, pictures, plots and weights of a run; returns the paths."""
    # Imported here because Matplotlib takes a second to import, and only this needs it.
    from invopt.report.pictures import write_convergence, write_pictures

    # The record first: if a plot fails, it is already written.
    return [
        write_record(result, out),
        *write_pictures(objective, result, start, out),
        write_convergence(result, out),
        *_write_weights(result, out),
        *objective.write(result.x, out),
    ]


def write_scene(result: OptimizeResult, out: Path) -> list[Path]:
    """Write the scene found and the table of the answer; returns the paths."""
    problem: Any = result.problem
    problem.save(result, out / "found.xml")
    (out / "answer.md").write_text(problem.table(result))
    return [out / "found.xml", out / "answer.md"]


def _write_weights(result: OptimizeResult, out: Path) -> list[Path]:
    if Capability.CHAIN not in result.problem.provides:
        return []
    path = out / "weights.safetensors"
    result.problem.save(result, path)
    return [path]


def write_record(result: OptimizeResult, out: Path) -> Path:
    """Write the result and its history as JSON into a folder; returns the path."""
    summary = {
        "problem": repr(result.problem),
        "estimator": repr(result.estimator),
        "method": repr(result.method),
        "status": result.status.name,
        # The weights of a network have a file of their own.
        "x": result.x.tolist() if result.x.size <= History.max_n else None,
        "fun": result.fun,
        "nfev": result.nfev,
        "seconds": result.seconds,
        "history": result.history.to_dict(),
    }
    record = out / "result.json"
    record.write_text(json.dumps(summary, indent=1) + "\n")
    return record
