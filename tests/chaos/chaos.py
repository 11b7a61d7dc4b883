"""Kill runs, fill disks, break evaluations: nothing paid for may be lost, and no bit of an answer may change.

``make chaos`` runs all of it, for some ten minutes, prints a table, and fails if anything did.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from invopt import Journal

CHILD = Path(__file__).with_name("child.py")
SEED = 2026
# Seconds that a cheap evaluation may wait in memory before it is committed; one of 2 ms or more is committed at once.
BATCH = 1.0
DEAR = ("mug", "shadow", "bunny", "mug-autodiff", "values", "residuals", "cmaes", "nelder-mead", "spsa", "faulty")
TASKS = [
    "quad", "quad-paper", "box2", "box10", "mug", "shadow", "bunny", "texture", "mug-autodiff",
    "values", "residuals", "cmaes", "nelder-mead", "spsa",
]  # fmt: skip
FAULTY = ["faulty", "faulty-search", "faulty-residuals"]


class Trial:
    """Runs of one task in a folder of its own."""

    def __init__(self, task: str, folder: Path, **options: Any) -> None:
        self.task, self.options = task, options
        self.journal, self.notes = folder / "runs.sqlite", folder / "notes"
        self.folder = folder

    def start(self, **options: Any) -> subprocess.Popen[str]:
        """Start a process that runs it."""
        command = [sys.executable, CHILD, self.task, self.journal, self.notes, json.dumps(self.options | options)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, **options: Any) -> dict[str, Any]:
        """Run it to its end; what it printed."""
        out, error = self.start(**options).communicate(timeout=300)
        if not out:
            raise AssertionError(f"{self.task}: no result: {error[-2000:]}")
        return _said(out) | {"warned": "JournalWarning" in error}

    def noted(self) -> list[tuple[float, tuple[str, int]]]:
        """When each evaluation was finished, and which it was."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [(float(at), (x, int(seed))) for at, x, seed in (line.split() for line in lines)]

    def kept(self) -> Counter[tuple[str, int]]:
        """Evaluations in the journal."""
        if not self.journal.exists():
            return Counter()
        found = [Journal(self.journal).evaluations(run.id) for run in Journal(self.journal).runs]
        return Counter(
            (x.tobytes().hex(), int(seed)) for each in found for x, seed in zip(each.x, each.seed, strict=True)
        )


def _said(out: str) -> dict[str, Any]:
    """What a child printed last; Mitsuba's warnings come before."""
    found: dict[str, Any] = json.loads(out[out.rindex('{"status"') :])
    return found


class Table:
    """What was tried, and what went wrong."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.figures: dict[str, Counter[str]] = {}
        self.wrong: list[str] = []

    def add(self, kind: str, task: str, **figures: int) -> None:
        """Count a trial; each figure should be 0 but those that begin with "of"."""
        self.rows[kind] += 1
        self.figures.setdefault(kind, Counter()).update(figures)
        bad = {name: value for name, value in figures.items() if value and not name.startswith("of_")}
        if bad:
            self.wrong.append(f"{kind} {task}: {bad}")
        print(f"{kind:16} {task:18} {figures}", flush=True)

    def show(self) -> int:
        """Print the table; the exit status."""
        print()
        for kind, count in self.rows.items():
            print(f"{kind:16} {count:3} runs  " + "  ".join(f"{n} {v}" for n, v in self.figures[kind].items()))
        print("\n".join(["", *self.wrong]) if self.wrong else "\nnothing was lost, nothing was spent twice")
        return 1 if self.wrong else 0


def killed(trial: Trial, whole: dict[str, Any], rng: np.random.Generator, number: int) -> dict[str, int]:
    """End a run by a signal at a random moment after its first evaluation, and go on with it."""
    process = trial.start()
    while not trial.notes.exists() and process.poll() is None:
        time.sleep(0.005)
    time.sleep(float(rng.uniform(0, 0.9 * whole["seconds"])))
    at = time.time()
    process.send_signal(number)
    out, error = process.communicate(timeout=120)
    noted, kept = trial.noted(), trial.kept()
    lost = Counter(what for when, what in noted if when < at - (0 if trial.task in DEAR else BATCH)) - kept
    # One evaluation may have been noted and not yet been committed.
    under_way = 1 if trial.task in DEAR else 0
    before = len(noted)
    rest = trial.finish()
    again = Counter(what for _, what in trial.noted()[before:])
    # What the journal held and was evaluated once more, though the run asks for it once.
    twice = sum((again & kept).values()) - sum(((again & kept) & natural(whole)).values())
    figures = {
        "lost": max(sum(lost.values()) - under_way, 0),
        "spent_twice": twice,
        "other_bits": int(rest["bits"] != whole["bits"]),
        "of_evaluations": before,
        "of_replayed": rest["replayed"],
    }
    if number == signal.SIGTERM:
        ended = _said(out)["status"] if process.returncode == 0 else f"{process.returncode}: {error[-500:]}"
        figures["not_ended"] = int(process.returncode != 0)
        figures["of_interrupted"] = int(ended == "INTERRUPTED")
    return figures


def natural(whole: dict[str, Any]) -> Counter[tuple[str, int]]:
    """Evaluations that an undisturbed run asks for more than once."""
    asked: Counter[tuple[str, int]] = whole["asked"]
    return Counter({what: count for what, count in asked.items() if count > 1})


def undisturbed(tasks: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Result, duration and evaluations of each task without a journal."""
    found = {}
    for task in tasks:
        (folder / task).mkdir()
        trial = Trial(task, folder / task)
        trial.journal = Path("-")
        found[task] = trial.finish()
        noted = trial.noted()
        found[task] |= {"seconds": noted[-1][0] - noted[0][0], "asked": Counter(what for _, what in noted)}
    return found


def full(trial: Trial, whole: dict[str, Any]) -> dict[str, int]:
    """Let no file grow from the third iteration on, and go on with the run afterwards."""
    first = trial.finish(limit=2)
    kept = sum(trial.kept().values())
    rest = trial.finish()
    return {
        "no_warning": int(not first["warned"]),
        "other_bits": int(first["bits"] != whole["bits"]) + int(rest["bits"] != whole["bits"]),
        "lost": max(kept - rest["replayed"], 0),
        "of_evaluations": first["nfev"],
        "of_replayed": rest["replayed"],
    }


def main(scale: float = 1.0) -> int:
    """Run everything, or a share of it."""
    rng, table = np.random.default_rng(SEED), Table()

    def count(number: int) -> range:
        return range(max(round(scale * number), 1))

    with tempfile.TemporaryDirectory(prefix="invopt-chaos-") as name:
        folder = Path(name)
        whole = undisturbed([*TASKS, *FAULTY], folder)

        def trial(task: str, **options: Any) -> Trial:
            (made := Path(tempfile.mkdtemp(dir=folder))).chmod(0o755)
            return Trial(task, made, **options)

        for i in count(60):
            task = TASKS[i % len(TASKS)]
            table.add("killed", task, **killed(trial(task), whole[task], rng, signal.SIGKILL))
        for i in count(20):
            task = TASKS[(3 * i) % len(TASKS)]
            table.add("SIGTERM", task, **killed(trial(task), whole[task], rng, signal.SIGTERM))
        for i in count(30):
            task = FAULTY[i % len(FAULTY)]
            table.add("faulty", task, **killed(trial(task), whole[task], rng, signal.SIGKILL))
        for _ in count(10):
            made = trial("values", workers=2)
            first = made.finish(deadly=str(made.folder / "dead"))
            died = (made.folder / "dead").exists()
            table.add(
                "killed worker",
                "values",
                no_death=int(not died),
                other_bits=int(first["bits"] != whole["values"]["bits"]),
            )
        for i in count(5):
            task = ("values", "residuals", "mug", "shadow", "cmaes")[i % 5]
            table.add("disk full", task, **full(trial(task), whole[task]))
    return table.show()


if __name__ == "__main__":
    raise SystemExit(main(*(float(share) for share in sys.argv[1:2])))
