"""The command, called in this process."""

import contextlib
import io
import sys

from attrs import frozen
from cases_files import _place_journal

from invopt import cli
from invopt.core.registry import names

_VALUES = [
    "",
    " ",
    "0",
    "1",
    "-1",
    "2.5",
    "1e4",
    "nan",
    "inf",
    "1e400",
    "9" * 400,
    "true",
    "null",
    "[1",
    "[1,2]",
    "{}",
    "x",
]
_VALUES += [
    "../..",
    "/dev/null",
    "/proc/1/x",
    "\ud800",
    "ä",
    "[red]",
    "[/]",
    "a=b",
    "=",
    "==",
    "--set",
    "-",
    "--",
    "quad",
]
_OPTIONS = ["--estimator", "--method", "--sigma", "--maxfev", "--seed", "--scene", "--set", "--every"]
_FIELDS = ["a", "b", "c", "d", "no", "x0", ""]


@frozen
class BadExitError(Exception):
    """An exit that is not documented."""

    text: str

    def __str__(self):
        return self.text


def case(rng, folder):
    """One command line."""
    made = {
        "run": lambda: _run(rng, folder),
        "journal": lambda: _journal(rng, folder),
        "list": lambda: ["list", *rng.choices(_VALUES, k=rng.choice([0, 0, 1]))],
        "table": lambda: ["table", rng.choice([str(folder), *_VALUES])],
        "bench": lambda: ["bench", rng.choice([v for v in _VALUES if v not in ("", "quad")]), *_bench(rng, folder)],
        "none": lambda: rng.choices([*_VALUES, "--help", "--version", "run", "journal"], k=rng.choice([0, 1, 2])),
    }
    kind = rng.choices(["run", "journal", "list", "table", "bench", "none"], weights=[12, 5, 1, 2, 1, 2])[0]
    words = made[kind]()
    return f"invopt {words!r}", lambda: _command(words)


def _run(rng, folder):
    problem = rng.choice(["quad"] * 8 + ["quadratic", "function", "grey-box", "scene", "mu", *_VALUES])
    words = ["run", problem, "--maxfev", "12"]
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        option = rng.choice(_OPTIONS)
        if option == "--set":
            words += [option, rng.choice([f"{rng.choice(_FIELDS)}={rng.choice(_VALUES)}", rng.choice(_VALUES)])]
        else:
            known = {"--estimator": sorted(names("estimators")), "--method": sorted(names("optimizers"))}.get(
                option, []
            )
            words += [option, rng.choice(_VALUES + known)]
    if rng.random() < 0.2:
        words += ["--workers", rng.choice(["0", "-1", "x", "1.5", "1"])]
    if rng.random() < 0.3:
        words += [rng.choice(["--journal", "--checkpoint"]), _file(rng, folder)]
    if rng.random() < 0.05:
        words += ["--out", rng.choice([str(folder / "out"), "/proc/1/x", "/dev/null", "\x00", ""])]
    return words


def _journal(rng, folder):
    words = ["journal", _file(rng, folder)]
    if rng.random() < 0.5:
        words += ["--run", rng.choice(["1", "2", "0", "99", *_VALUES])]
    return words


def _bench(rng, folder):
    options = ["--seeds", "--first-seed", "--maxfev", "--maxtime", "--workers", "--size", "--methods"]
    return ["--out", str(folder / "bench"), rng.choice(options), rng.choice(_VALUES)]


def _file(rng, folder):
    if rng.random() < 0.3:
        return rng.choice(_VALUES)
    path = folder / f"cli-{rng.randrange(10**9)}.sqlite"
    _place_journal(rng, path, folder)
    return str(path)


def _command(words):
    """Run it, and look at its exit: 0, or 1 and 2 with one line of reason; never a traceback."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["invopt", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as leaving:
        said = err.getvalue()
        if leaving.code not in (0, 1, 2, None) or "Traceback" in said:
            raise BadExitError(f"code {leaving.code}: {said[-300:]}") from None
        if leaving.code in (1, 2) and not (said + out.getvalue()).strip():
            raise BadExitError(f"code {leaving.code} without a word") from None
    finally:
        sys.argv = before
