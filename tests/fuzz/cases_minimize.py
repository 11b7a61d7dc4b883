"""Arguments of `minimize`, of `differentiate` and of `as_method`, each odd ones among ordinary ones."""

import concurrent.futures

import functions
import numpy as np
import scipy.optimize
from values import Own, odd, odd_like, told

import invopt
from invopt.core.registry import names

ORDINARY = {
    "estimator": None,
    "method": None,
    "x0": [0.5, 0.25],
    "args": (),
    "jac": None,
    "hess": None,
    "hessp": None,
    "bounds": [(-1.0, 1.0), (-1.0, 1.0)],
    "constraints": (),
    "x_scale": [1.0, 1.0],
    "rng": 0,
    "maxiter": 20,
    "maxfev": 40,
    "maxtime": 1.0,
    "tol": 1e-6,
    "gtol": 1e-6,
    "xtol": 1e-8,
    "ftol": 0.0,
    "max_nonfinite": 0.5,
    "failures": "raise",
    "timeout": None,
    "callback": None,
    "options": {"maxiter": 5},
    "workers": None,
    "progress": False,
    "journal": None,
    "checkpoint": None,
    "identity": None,
}
# At least one of these stays, so that a run ends.
_ENDS = ("maxtime", "maxfev", "maxiter")
_OPTIONS = ("maxiter", "maxfev", "disp", "gtol", "ftol", "xtol", "eps", "maxfun", "maxtime", "adaptive", "return_all")


def case(rng, folder):
    """One call."""
    problem, problem_said = _problem(rng)
    chosen = {"maxtime": 1.0, "maxfev": rng.choice([1, 2, 5, 40]), "rng": 0}
    if rng.random() < 0.6 or problem_said == "function":
        chosen["x0"] = [0.5, 0.25]
    chosen |= _parts(rng)
    changed = [_special(rng, name, folder) for name in rng.sample(sorted(ORDINARY), rng.choice([1, 1, 2, 3]))]
    kept = rng.choice(_ENDS)
    given = chosen | {name: value for name, value in changed if name != kept}
    given[kept] = chosen.get(kept, ORDINARY[kept])
    said = f"{problem_said}: " + ", ".join(f"{name}={told(value)}" for name, value in given.items())
    kind = rng.random()
    if kind < 0.85:
        positional = rng.choice([(), (), (), (odd(rng),), (odd(rng), odd(rng))])
        return said + f" {[told(v) for v in positional]}", lambda: invopt.minimize(problem, *positional, **given)
    if kind < 0.93:
        return f"differentiate {said}", lambda: _differentiate(problem, given)
    return f"as_method {said}", lambda: _as_method(given)


def _problem(rng):
    made = {
        "function": lambda: functions.sphere,
        "residuals": lambda: invopt.problems.Function(
            fun=functions.residuals, x0=[1.0, -0.5], residuals=True, x_scale=[1.0, 2.0]
        ),
        "vectorized": lambda: invopt.problems.Function(fun=functions.sphere, x0=[1.0, -0.5], vectorized=True),
        "exact": lambda: invopt.problems.Function(
            fun=functions.sphere, x0=[1.0, 0.5], jac=lambda x: 2 * x, hess=lambda x: 2 * np.eye(len(x))
        ),
        "quad": lambda: "quad",
        "quadratic": lambda: invopt.problems.Quadratic(),
    }
    if rng.random() < 0.08:
        value = odd(rng)
        return value, f"problem {told(value)}"
    name = rng.choice(sorted(made))
    return made[name](), name


def _parts(rng):
    """Estimator and method by name, of all there are."""
    found = {}
    if rng.random() < 0.5:
        found["estimator"] = rng.choice(sorted(names("estimators")))
    if rng.random() < 0.4:
        found["method"] = rng.choice([*sorted(names("optimizers")), "powell", "L-BFGS-B", "cobyqa", "tnc", "slsqp"])
    return found


def _special(rng, name, folder):
    """An odd value of an argument: often one that is nearly right."""
    nearly = {
        "workers": lambda: rng.choice([0, -1, 1.0, "2", map, _map_too_few, _map_too_many, _map_none, _shut(), list]),
        "options": lambda: {rng.choice(_OPTIONS): odd(rng), rng.choice(_OPTIONS): odd(rng)},
        "journal": lambda: _path(rng, folder),
        "checkpoint": lambda: _path(rng, folder),
        "bounds": lambda: _bounds(rng),
        "callback": lambda: functions.junk(rng)[0],
        "jac": lambda: rng.choice([True, functions.junk(rng, lambda x: 2 * np.asarray(x))[0]]),
        "hess": lambda: functions.junk(rng, lambda x: 2 * np.eye(len(x)))[0],
        "x_scale": lambda: [rng.choice([1e-300, 1e300, 5e-324, 1e-9, 1e9]), 1.0],
        "x0": lambda: [rng.choice([1e300, -1e308, 1e-300, 1e16, 0.0]), 0.5],
    }
    if name in nearly and rng.random() < 0.5:
        return name, nearly[name]()
    value = odd_like(rng, ORDINARY[name])
    # Processes take seconds to start, and have tests of their own.
    return name, 1 if name == "workers" and _starts_processes(value) else value


def _starts_processes(value):
    return isinstance(value, int | float | np.number) and 1 < value < 2**20


def _bounds(rng):
    ends = [-np.inf, -1e308, -1.0, 0.0, 0.5, 0.5 + 1e-16, 0.6, 1.0, 1e308, np.inf, None, np.nan]
    pairs = [(rng.choice(ends), rng.choice(ends)), (rng.choice(ends), rng.choice(ends))]
    if rng.random() < 0.3:
        return scipy.optimize.Bounds(*([0 if v is None else v for v in side] for side in zip(*pairs, strict=True)))
    return rng.choice([pairs, zip(*zip(*pairs, strict=True), strict=True), np.array(pairs, dtype=object), pairs[:1]])


def _path(rng, folder):
    """Paths that can be files, and such that cannot."""
    name = rng.choice(
        ["a", "a/b/c", ".", "..", "x" * 300, "a\x00b", "\ud800", "ö?#%41", "", " ", "/proc/x/y", "/dev/null"]
    )
    return rng.choice([str, lambda v: folder / v])(name)


def _map_too_few(func, items):
    return [func(item) for item in items][:-1]


def _map_too_many(func, items):
    found = [func(item) for item in items]
    return [*found, *found]


def _map_none(func, items):
    return None


def _shut():
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    return pool


def _differentiate(problem, given):
    known = ("bounds", "x_scale", "rng", "max_nonfinite", "failures", "timeout", "workers")
    options = {name: given[name] for name in known if name in given}
    return invopt.differentiate(problem, given.get("estimator"), given.get("x0"), p=given.get("args"), **options)


def _as_method(given):
    ours = {name: value for name, value in given.items() if name in ("rng", "maxfev", "maxtime", "x_scale", "failures")}
    method = invopt.as_method(given.get("estimator"), None, **ours)
    scipys = {name: value for name, value in given.items() if name in ("bounds", "options", "callback")}
    try:
        return scipy.optimize.minimize(functions.sphere, [0.5, 0.25], method=method, **scipys)
    except Exception as error:
        frame = error.__traceback__
        while frame.tb_next is not None:
            frame = frame.tb_next
        if "/scipy/" in frame.tb_frame.f_code.co_filename:
            # Refused by scipy before it came to us.
            raise Own from error
        raise
