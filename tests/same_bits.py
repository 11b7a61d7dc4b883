"""The same bits: where every registered pairing stands after ten iterations, written to a file and compared later.

A script, not a test::

    python tests/same_bits.py write FILE.json
    python tests/same_bits.py compare FILE.json

Every estimator is run with every method that goes with it on a quadratic, on two boxes of 32x32 pixels and on the tiny
mug, from the problem's own start with ``rng=0``. `compare` prints every pairing that is missing, new or different, and
exits with 1 if there is one. Numbers are compared bit by bit, but for derivatives by the renderer: Dr.Jit adds in any
order, so that these may differ by a share of 1e-3.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import invopt
from invopt.rendering import set_threads

ITERATIONS, EVALUATIONS = 10, 120
# Share by which parameters may differ where the renderer differentiates, whose sums are in any order.
TOLERANCE = 1e-3
IN_ANY_ORDER = {"Autodiff"}
PROBLEMS = {
    "quad": lambda: invopt.problems.Quadratic(),
    "box2": lambda: invopt.problems.Box2(resolution=32),
    "mug": lambda: invopt.problems.Mug(size="tiny"),
}
METHODS_OF_SCIPY = ("nelder-mead", "powell", "l-bfgs-b")


def pairings() -> Iterator[tuple[str, Any, str, Any, str, Any]]:
    """Every problem, estimator and method that are registered, by name; a pairing may not fit."""
    for task, make in PROBLEMS.items():
        problem = make()
        yield task, problem, "auto", None, "auto", None
        yield task, problem, "paper", "paper", "auto", None
        for estimator in invopt.estimators.__all__:
            for method in invopt.optimizers.__all__:
                if method in {"Armijo", "ArmijoWolfe", "Scipy"}:
                    continue
                yield task, problem, estimator, getattr(invopt.estimators, estimator), method, method_of(method)
        for name in METHODS_OF_SCIPY:
            yield task, problem, "FunctionValue", invopt.estimators.FunctionValue, name, name


def method_of(name: str) -> Any:
    """Class of a method."""
    return getattr(invopt.optimizers, name)


def made(part: Any) -> Any:
    """An instance where a class is given."""
    return part() if isinstance(part, type) else part


def outcome(problem: Any, estimator: Any, method: Any) -> dict[str, Any] | str:
    """What a pairing comes to, floats as exact texts; or the kind of the error."""
    try:
        result = invopt.minimize(
            problem,
            made(estimator),
            made(method),
            rng=0,
            maxiter=ITERATIONS,
            maxfev=EVALUATIONS,
            progress=False,
        )
    except invopt.IncompatibleError:
        return "does not fit"
    except Exception as error:  # noqa: BLE001 - an error is an outcome to be compared too
        return f"error: {type(error).__name__}"
    return {
        "x": [float(value).hex() for value in result.x],
        "fun": float(result.fun).hex(),
        "nfev": int(result.nfev),
        "nit": int(result.nit),
        "status": result.status.name,
    }


def all_outcomes() -> dict[str, Any]:
    """Outcome of every pairing that fits."""
    set_threads(1, 1)
    found: dict[str, Any] = {}
    began = time.perf_counter()
    for task, problem, estimator_name, estimator, method_name, method in pairings():
        came = outcome(problem, estimator, method)
        if came != "does not fit":
            found[f"{task} {estimator_name} {method_name}"] = came
    print(f"{len(found)} pairings in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return found


def differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """A line for each pairing that is missing, new or different."""
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            yield f"{name}: missing"
        elif name not in before:
            yield f"{name}: new"
        elif before[name] != now[name] and not (name.split()[1] in IN_ANY_ORDER and is_near(before[name], now[name])):
            yield f"{name}: {before[name]} is now {now[name]}"


def is_near(before: Any, now: Any) -> bool:
    """Whether two outcomes are the same but for the order of sums."""
    if isinstance(before, str) or isinstance(now, str):
        return False
    was, x = ([float.fromhex(value) for value in outcome["x"]] for outcome in (before, now))
    size = max(float(np.abs(was).max()), 1e-6)
    return len(was) == len(x) and all(math.isclose(a, b, abs_tol=TOLERANCE * size) for a, b in zip(was, x, strict=True))


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["write", "compare"])
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    found = all_outcomes()
    if given.action == "write":
        given.file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        return 0
    lines = list(differences(json.loads(given.file.read_text()), found))
    print("\n".join(lines) or "the same bits")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
