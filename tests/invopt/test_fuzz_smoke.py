"""A few hundred cases of the fuzz run that neither render nor train."""

import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "fuzz"
AREAS = ("arguments", "classes", "functions", "sessions", "journals", "snapshots")


@pytest.fixture
def fuzz(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    import areas
    import outcomes

    yield areas, outcomes
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(FOLDER)):
            del sys.modules[name]


def test_only_documented_outcomes(fuzz, tmp_path):
    areas, outcomes = fuzz
    found = []
    for number in range(240):
        if areas.area_of(number) in AREAS:
            said, call = areas.case_of(number, tmp_path)
            outcome = outcomes.judge(call)
            if outcome.kind == "finding":
                found.append((number, said, outcome))
    assert not found


def test_findings_are_found(fuzz):
    """Undocumented outcomes are detected."""
    _, outcomes = fuzz
    import invopt

    assert outcomes.judge(lambda: [][1]).name == "IndexError"
    assert (
        outcomes.judge(lambda: __import__("warnings").warn_explicit("a", RuntimeWarning, "numpy.py", 1)).kind
        == "finding"
    )
    assert outcomes.judge(lambda: invopt.minimize("quad", maxfev=0)).kind == "error"
    assert outcomes.judge(lambda: invopt.minimize("quad", rng=0, maxfev=5)).kind == "result"
    result = invopt.minimize("quad", rng=0, maxfev=60)
    assert result.nit > 0
    result["fun"] = float("nan")
    assert outcomes.judge(lambda: result).name == "result fun not finite"
