"""Trainings of neural radiosity that the benchmark compares: as many at once as there are cores, each run once.

Kept in out/radiosity, one JSON file each; remove the folder to begin anew.
INVOPT_RADIOSITY="iterations=1000 points=1024 directions=16 seeds=3" changes the size. Each renders with one thread, so
that a seed gives the same bits again. Settings were chosen on seeds from 1000 on.
"""

import json
import math
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from attrs import evolve, fields, frozen
from loky import cpu_count

from invopt import NonFiniteError, StepDecay, estimators, optimizers
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity import Field, Guide, SymmetricL2
from invopt.problems.radiosity.pictures.metrics import has_flip
from invopt.problems.radiosity.pictures.reference import reference
from invopt.problems.radiosity.training import Training
from invopt.rendering import set_threads

SIZE = {"iterations": 800, "points": 512, "directions": 16, "seeds": 3, "width": 64, "spp": 2048}
for word in os.environ.get("INVOPT_RADIOSITY", "").split():
    key, _, value = word.partition("=")
    if key not in SIZE:
        raise ValueError(f"INVOPT_RADIOSITY has {key!r}; there are {', '.join(SIZE)}")
    SIZE[key] = int(value)
OUT = Path(os.environ.get("INVOPT_RADIOSITY_OUT", "out/radiosity"))
COLUMNS = ["mse", "relmse", "mape", "energy", *(["flip"] if has_flip() else [])]
SCENES = {"gap-room": ("gap-room", "bsdf"), "cornell": ("cornell-box", "bsdf"), "cornell-nee": ("cornell-box", "nee")}
RATE = 2e-3
# The door's bright chamber beside a dark room makes a linear field by semi-gradients too bright at 1e-3 already.
RATES = {("door", "linear"): 5e-4}
ESTIMATORS = {
    "NR": estimators.FullGradient(),
    "DB": estimators.DualBuffer(),
    "WDB.5": estimators.WeightedDualBuffer(weight=0.5),
    "WDB.25": estimators.WeightedDualBuffer(weight=0.25),
    "WDB.1": estimators.WeightedDualBuffer(weight=0.1),
    "SG": estimators.SemiGradient(),
}


def door() -> Path | None:
    """The scene behind the door, where it is."""
    folder = os.environ.get("INVOPT_DATA_DIR")
    path = None if folder is None else Path(folder) / "scenes" / "veach-ajar" / "scene.xml"
    return path if path is not None and path.is_file() else None


def scenes() -> list[str]:
    return [*SCENES, *(["door"] if door() else [])]


@frozen(kw_only=True)
class Setting:
    """What a training may have that the papers' has not."""

    sampling: str | None = None
    loss: str = "relative-l2"
    share: float = 0.5
    sides: str = "outgoing"
    output: str = "linear"
    reflection: bool = False
    bounces: int = 1
    dark_density: float = 1.0
    # As many rays from four times the points.
    wide: bool = False
    # Twice the iterations.
    long: bool = False

    def __str__(self) -> str:
        named = {item.name: getattr(self, item.name) for item in fields(Setting)}
        changed = {item.name: named[item.name] for item in fields(Setting) if named[item.name] != item.default}
        return " ".join(key if value is True else f"{key}={value}" for key, value in changed.items())

    @property
    def batch(self) -> tuple[int, int]:
        points, directions = SIZE["points"], SIZE["directions"]
        return (4 * points, directions // 4) if self.wide else (points, directions)

    @property
    def iterations(self) -> int:
        return SIZE["iterations"] * (2 if self.long else 1)


PAPERS = Setting()


class Cell(NamedTuple):
    """One training."""

    scene: str
    estimator: str
    seed: int
    setting: Setting = PAPERS

    @property
    def path(self) -> Path:
        size = "-".join(f"{key}={SIZE[key]}" for key in SIZE if key != "seeds")
        words = [self.scene, self.estimator, *str(self.setting).split(), str(self.seed)]
        return OUT / size / f"{'_'.join(words)}.json"


class Row(NamedTuple):
    """Trainings with seeds from 0 on."""

    scene: str
    estimator: str
    seeds: int
    setting: Setting = PAPERS


def problem(scene: str, setting: Setting = PAPERS) -> NeuralRadiosity:
    # The door's lamp is small, strong and out of sight: directions alone find it too seldom for short runs.
    source, own = (door(), "nee") if scene == "door" else SCENES[scene]
    sampling = setting.sampling or own
    tenth = setting.iterations // 10
    points, directions = setting.batch
    return NeuralRadiosity(
        source,
        field=evolve(Field.small(), output=setting.output, reflection=setting.reflection),
        n_points=points,
        n_directions=directions,
        sampling=sampling,
        guide=Guide(first=tenth, last=5 * tenth) if sampling == "guided" else None,
        loss=SymmetricL2(share=setting.share) if setting.loss == "symmetric-l2" else setting.loss,
        sides=setting.sides,
        bounces=setting.bounces,
        dark_density=setting.dark_density,
    )


def adam(scene: str, setting: Setting = PAPERS) -> Any:
    rate = RATES.get((scene, setting.output), RATE)
    return optimizers.Adam(lr=StepDecay(rate, every=math.ceil(setting.iterations / 3)))


def truth(live: Any) -> Any:
    """The scene's reference picture."""
    width, height = live.transport.size(0)
    return reference(live, spp=SIZE["spp"], size=(SIZE["width"], max(1, round(SIZE["width"] * height / width))))


def train(cell: Cell) -> None:
    """Write the errors along one training."""
    set_threads(1)
    posed = problem(cell.scene, cell.setting)
    with posed.open() as live:
        training = Training(live, truth(live), every=cell.setting.iterations // 5, spp=8)
        x0 = posed.starts(np.random.default_rng(cell.seed), 1)[0]
        method = adam(cell.scene, cell.setting)
        try:
            training.run(ESTIMATORS[cell.estimator], method, x0=x0, rng=cell.seed, maxiter=cell.setting.iterations)
            rows = training.rows
        except NonFiniteError as error:
            # A failure is the worst error there is, and not a training less.
            rows = [*training.rows, dict.fromkeys(("mse", "relmse", "mape", "energy", "flip"), math.inf)]
            rows[-1] |= {"nit": error.result.nit, "seconds": error.result.seconds}
    cell.path.parent.mkdir(parents=True, exist_ok=True)
    temporary = cell.path.with_suffix(".tmp")
    temporary.write_text(json.dumps(rows))
    temporary.replace(cell.path)


def look(scene: str) -> None:
    """Have the scene's reference picture made."""
    set_threads(1)
    with problem(scene).open() as live:
        truth(live)


def trained(cells: list[Cell]) -> list[list[dict[str, float]]]:
    """Errors along each training; those not yet run are, in processes of their own."""
    missing = [cell for cell in cells if not cell.path.exists()]
    if missing:
        with ProcessPoolExecutor(cpu_count(), multiprocessing.get_context("spawn")) as pool:
            list(pool.map(look, dict.fromkeys(cell.scene for cell in missing)))
            list(pool.map(train, missing))
    return [json.loads(cell.path.read_text()) for cell in cells]


def measured(rows: list[Row]) -> list[tuple[float, float]]:
    """Medians of MSE and energy at the end of each row's trainings; all errors are printed, medians and ranges."""
    cells = [Cell(row.scene, row.estimator, seed, row.setting) for row in rows for seed in range(row.seeds)]
    runs = iter(trained(cells))
    return [_shown(row, [next(runs)[-1] for _ in range(row.seeds)]) for row in rows]


def _shown(row: Row, last: list[dict[str, float]]) -> tuple[float, float]:
    columns = []
    for key in COLUMNS:
        values = [errors[key] for errors in last]
        spread = f" ({min(values):.3g}-{max(values):.3g})" if len(values) > 1 else ""
        columns.append(f"{key} {np.median(values):.4g}{spread}")
    named = f"{row.scene:12} {row.estimator:6} {row.setting!s:24} n={row.seeds}"
    print(f"{named}  {'  '.join(columns)}", flush=True)
    return float(np.median([errors["mse"] for errors in last])), float(np.median([e["energy"] for e in last]))
