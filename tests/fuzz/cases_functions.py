"""Functions and callbacks of users that return, raise and do odd things, in all the ways a `Function` takes them."""

import functions
import numpy as np
from cases_minimize import _parts

import invopt


def case(rng, folder):
    """One run."""
    if rng.random() < 0.2:
        return _callback(rng)
    kind = rng.choice(["plain", "residuals", "vectorized", "jac", "pair", "targeted"])
    good = functions.residuals if kind == "residuals" else functions.sphere
    fun, said = functions.junk(rng, good)
    fields = {"fun": fun, "x0": rng.choice([[0.5], [0.5, -0.25], np.linspace(0, 1, 9)])}
    fields |= {"residuals": True} if kind == "residuals" else {}
    if kind == "vectorized":
        fields |= {"vectorized": True, "residuals": rng.random() < 0.3, "chunk_size": rng.choice([1, 2, 256])}
    elif kind == "jac":
        fields |= _derivatives(rng, fields)
    elif kind == "pair":
        fields["jac"] = True
    elif kind == "targeted":
        fields |= {"targeted": True, "seeded": rng.random() < 0.5}
    options = {"maxfev": rng.choice([1, 7, 40]), "maxtime": 1.0, "rng": 0, "progress": False} | _parts(rng)
    if rng.random() < 0.3:
        options |= {"failures": "nan", "max_nonfinite": rng.choice([0.0, 0.5, 0.9])}
    if rng.random() < 0.15:
        options["workers"] = map
    if rng.random() < 0.15:
        options |= {"journal": folder / "functions.sqlite", "identity": f"case {rng.random()}"}
    return f"{kind}, {said}: {options}", lambda: invopt.minimize(invopt.problems.Function(**fields), **options)


def _derivatives(rng, fields):
    jac, _ = functions.junk(rng, lambda x: 2 * np.asarray(x))
    hess, _ = functions.junk(rng, lambda x: 2 * np.eye(len(x)))
    found = {"jac": rng.choice([jac, lambda x: 2 * np.asarray(x)])}
    if rng.random() < 0.5:
        found["hess"] = hess
    if rng.random() < 0.5:
        found["fun"] = functions.sphere
    return found


def _callback(rng):
    act, said = functions.junk(rng, lambda x: None)
    forms = {
        "xk": lambda xk: act(xk),
        "result": lambda intermediate_result: act(intermediate_result.x),
        "result, changed": lambda intermediate_result: (intermediate_result.clear(), act(np.ones(1)))[1],
        "any": lambda *args, **named: act(np.ones(2)),
        "both": lambda xk, state: act(xk),
    }
    form = rng.choice(sorted(forms))
    options = {"maxfev": 30, "maxtime": 1.0, "rng": 0, "callback": forms[form], "x0": [0.5, 0.25]} | _parts(rng)
    if form == "both":
        options |= {"estimator": "finite-difference", "method": "trust-constr"}
    return f"callback({form}) {said}: {options}", lambda: invopt.minimize(functions.sphere, **options)
