"""Fields of every public class: some replaced by odd values; what can be made is used where that is cheap."""

import attrs
import functions
import numpy as np
import torch
from values import odd, odd_like, told

import invopt
from invopt import estimators, optimizers, problems, rendering
from invopt.problems import radiosity

_NEEDED = {
    "Checkpoint": {"path": "a"},
    "Journal": {"path": "a"},
    "Function": {"fun": functions.sphere, "x0": [0.5, 0.25]},
    "GreyBox": {"model": torch.nn.Linear(2, 2), "inner": problems.Quadratic(), "data": np.ones((3, 2))},
    "NeuralRadiosity": {"scene": "gap-room", "field": "tiny"},
    "RadianceField": {"field": radiosity.Field.tiny(), "weights": torch.zeros(3), "low": np.zeros(3), "extent": 1.0},
    "Scipy": {"name": "powell"},
    "Custom": {"target": "t", "function": lambda x: {"a": x}, "x0": [0.5]},
    "Mesh": {"vertices": np.eye(3), "faces": [[0, 1, 2]], "uv": np.zeros((3, 2))},
    "Rotation": {"target": "t", "axis": [0, 0, 1]},
    "Scene": {"scene": {"type": "scene"}, "parameters": [rendering.Value("a.b", scale=1.0)], "x_opt": [1.0]},
    **{name: {"target": "t"} for name in ("Color", "Pose", "Scale", "Texels", "Translation")},
    "Value": {"target": "t", "scale": 1.0},
}
_OTHERS = {
    "Derivatives",
    "Estimate",
    "Installation",
    "Binding",
    "Estimator",
    "Optimizer",
    "Problem",
    "Schedule",
    "Loss",
}
_ROOTS = (invopt, problems, estimators, optimizers, rendering, radiosity)
CLASSES = {
    name: cls
    for root in _ROOTS
    for name in root.__all__
    if isinstance(cls := getattr(root, name), type) and attrs.has(cls) and name not in _OTHERS
}
# Fields that say how much work there is: large ones are the user's wish, and take the time they take.
_WORK = {"n_train", "n_held_out", "resolution", "levels", "log2_size", "features", "width", "depth", "lobes", "size"}


def case(rng, folder):
    """One object."""
    name = rng.choice(sorted(CLASSES))
    cls = CLASSES[name]
    known = {item.alias: item.default for item in attrs.fields(cls) if item.init}
    given = dict(_NEEDED.get(name, {}))
    changed = rng.sample(sorted(known), min(len(known), rng.choice([1, 1, 1, 2, 3])))
    given |= {field: _odd(rng, field, given.get(field, known[field])) for field in changed}
    if rng.random() < 0.03:
        given["no_such_field"] = 1
    said = f"{name}({', '.join(f'{field}={told(value)}' for field, value in given.items())})"
    return said, lambda: _use(cls(**given), _WORK & given.keys())


def _odd(rng, field, default):
    if field in ("sigma", "lr", "start") and rng.random() < 0.3:
        return rng.choice([invopt.Exponential(1e-300), invopt.Linear(1e300), {"a": 1}])
    if field == "bounds" and rng.random() < 0.5:
        return rng.choice([(0, 1), (1, 0), (0, 0), (-1, np.inf), (np.nan, 1), [(0, 1)] * 3, ([0], [1]), {"low": 0}])
    if isinstance(default, type(attrs.NOTHING)) or default is None:
        return odd(rng) if rng.random() < 0.5 else odd_like(rng, rng.choice([1, 1.0, "a", (1.0,)]))
    return odd_like(rng, default)


def _use(made, work):
    """A short run with what was made."""
    repr(made)
    options = {"rng": 0, "maxfev": 30, "maxtime": 1.0, "progress": False}
    if isinstance(made, invopt.Schedule):
        values = [made.at(i, 1.0) for i in (0, 1, 10**6)]
        assert all(isinstance(value, float) and value >= 0 for value in values), values
        return invopt.minimize("quad", estimators.FR22(sigma=made), "adam", **options)
    if isinstance(made, invopt.Estimator):
        residual = problems.Function(fun=functions.residuals, x0=[0.5, 0.25], residuals=True)
        needs = getattr(made, "needs", invopt.Capability.FUN)
        return invopt.minimize(residual if invopt.Capability.RESIDUALS in needs else "quad", made, **options)
    if isinstance(made, invopt.Optimizer):
        full = estimators.SharedSamples(n_samples=4)
        derived = estimators.FiniteDifference()
        order = made.requires
        chosen = full if invopt.Order.HESSP in order else derived if invopt.Order.JAC in order else "function-value"
        return invopt.minimize("quad", chosen, made, **options)
    if isinstance(made, problems.Function | problems.GreyBox | problems.Quadratic):
        return invopt.minimize(made, **options)
    if isinstance(made, invopt.Checkpoint | invopt.Journal):
        name = "journal" if isinstance(made, invopt.Journal) else "checkpoint"
        return invopt.minimize("quad", **options, **{name: made})
    if isinstance(made, problems.NeuralRadiosity) and not work:
        return made.names[:2], made.x0.shape
    return made
