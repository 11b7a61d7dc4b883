"""Trainings of neural radiosity for the benchmark: as many at a time as there are cores, each run once.

Results are kept in out/radiosity, one JSON file a training; remove the folder to start again.
INVOPT_RADIOSITY="iterations=1000 points=1024 directions=16 seeds=3" changes the size. Each training renders with one
thread, so that a seed gives the same bits again. Settings were chosen on seeds from 1000.
"""

import json
import math
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from attrs import evolve, fields, frozen
from loky import cpu_count

from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity import Field, Guide, SymmetricL2
from invopt.problems.radiosity.comparison.comparison import Comparison
from invopt.problems.radiosity.comparison.training_errors import METRICS
from invopt.rendering import set_threads

SIZE = {"iterations": 800, "points": 512, "directions": 16, "seeds": 3, "width": 64, "spp": 2048}
for word in os.environ.get("INVOPT_RADIOSITY", "").split():
    key, _, value = word.partition("=")
    if key not in SIZE:
        raise ValueError(f"INVOPT_RADIOSITY has {key!r}; there are {', '.join(SIZE)}")
    SIZE[key] = int(value)
OUT = Path(os.environ.get("INVOPT_RADIOSITY_OUT", "out/radiosity"))
SCENES = {"gap-room": ("gap-room", "bsdf"), "cornell": ("cornell-box", "bsdf"), "cornell-nee": ("cornell-box", "nee")}
RATE = 2e-3
# Behind the door a linear field trained by semi-gradients becomes too bright with a rate of 1e-3.
RATES = {("door", "linear"): 5e-4}


def door() -> Path | None:
    """The scene "Veach, Ajar", if INVOPT_DATA_DIR has it."""
    folder = os.environ.get("INVOPT_DATA_DIR")
    path = None if folder is None else Path(folder) / "scenes" / "veach-ajar" / "scene.xml"
    return path if path is not None and path.is_file() else None


def scenes() -> list[str]:
    return [*SCENES, *(["door"] if door() else [])]


@frozen(kw_only=True)
class Setting:
    """How a training differs from the papers' setting."""

    sampling: str | None = None
    loss: str = "relative-l2"
    share: float = 0.5
    sides: str = "outgoing"
    output: str = "linear"
    reflection: bool = False
    bounces: int = 1
    dark_density: float = 1.0
    # Four times the points with a quarter of the directions each.
    wide: bool = False
    # Twice the iterations.
    long: bool = False

    def __str__(self) -> str:
        named = {item.name: getattr(self, item.name) for item in fields(Setting)}
        changed = {item.name: named[item.name] for item in fields(Setting) if named[item.name] != item.default}
        return " ".join(key if value is True else f"{key}={value}" for key, value in changed.items())


PAPERS = Setting()


class Cell(NamedTuple):
    """One training; the estimator by its name, see `named_estimator`."""

    scene: str
    estimator: str
    seed: int
    setting: Setting = PAPERS

    @property
    def path(self) -> Path:
        size = "-".join(f"{key}={SIZE[key]}" for key in SIZE if key != "seeds")
        words = [self.scene, self.estimator.replace(":", "-"), *str(self.setting).split(), str(self.seed)]
        return OUT / size / f"{'_'.join(words)}.json"


class Row(NamedTuple):
    """Trainings with seeds from 0."""

    scene: str
    estimator: str
    seeds: int
    setting: Setting = PAPERS


def comparison(scene: str, setting: Setting = PAPERS) -> Comparison:
    # Directions alone find the small lamp behind the door too seldom in short runs.
    source, own = (door(), "nee") if scene == "door" else SCENES[scene]
    sampling = setting.sampling or own
    iterations = SIZE["iterations"] * (2 if setting.long else 1)
    points, directions = SIZE["points"], SIZE["directions"]
    problem = NeuralRadiosity(
        source,
        preset="paper",
        field=evolve(Field.small(), output=setting.output, reflection=setting.reflection, demodulated=False),
        n_points=4 * points if setting.wide else points,
        n_directions=directions // 4 if setting.wide else directions,
        sampling=sampling,
        guide=Guide(first=iterations // 10, last=5 * (iterations // 10)) if sampling == "guided" else None,
        loss=SymmetricL2(share=setting.share) if setting.loss == "symmetric-l2" else setting.loss,
        sides=setting.sides,
        bounces=setting.bounces,
        dark_density=setting.dark_density,
    )
    return Comparison(
        problem=problem,
        lr=RATES.get((scene, setting.output), RATE),
        decay_every=math.ceil(iterations / 3),
        maxiter=iterations,
        every=iterations // 5,
        width=SIZE["width"],
        spp=8,
        reference_spp=SIZE["spp"],
    )


def train(cell: Cell) -> None:
    """Write the errors during one training."""
    set_threads(1)
    compared = comparison(cell.scene, cell.setting)
    with compared.problem.open() as live:
        _, rows = compared.train(live, cell.estimator, cell.seed)
    cell.path.parent.mkdir(parents=True, exist_ok=True)
    temporary = cell.path.with_suffix(".tmp")
    temporary.write_text(json.dumps(rows))
    temporary.replace(cell.path)


def render_truth(scene: str) -> None:
    """Render the scene's reference picture, unless it is on disk."""
    set_threads(1)
    compared = comparison(scene)
    with compared.problem.open() as live:
        compared.truth(live)


def trained(cells: list[Cell]) -> list[list[dict[str, float]]]:
    """Errors during each training; those not yet run are run in processes of their own."""
    missing = [cell for cell in cells if not cell.path.exists()]
    if missing:
        with ProcessPoolExecutor(cpu_count(), multiprocessing.get_context("spawn")) as pool:
            list(pool.map(render_truth, dict.fromkeys(cell.scene for cell in missing)))
            list(pool.map(train, missing))
    return [json.loads(cell.path.read_text()) for cell in cells]


def measured(rows: list[Row]) -> list[tuple[float, float]]:
    """Medians of MSE and energy at the end of each row's trainings; prints medians and ranges of all errors."""
    cells = [Cell(row.scene, row.estimator, seed, row.setting) for row in rows for seed in range(row.seeds)]
    runs = iter(trained(cells))
    return [_medians(row, [next(runs)[-1] for _ in range(row.seeds)]) for row in rows]


def _medians(row: Row, last: list[dict[str, float]]) -> tuple[float, float]:
    medians, columns = {}, []
    for key in METRICS:
        values = [errors[key] for errors in last]
        medians[key] = float(np.median(values))
        spread = f" ({min(values):.3g}-{max(values):.3g})" if len(values) > 1 else ""
        columns.append(f"{key} {medians[key]:.4g}{spread}")
    named = f"{row.scene:12} {row.estimator:24} {row.setting!s:24} n={row.seeds}"
    print(f"{named}  {'  '.join(columns)}", flush=True)
    return medians["mse"], medians["energy"]
