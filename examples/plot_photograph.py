"""
From a photograph to the answer
===============================

A scene in a file, and a JPEG of it. The crate stands elsewhere, the wall has another colour, and nobody knows the
exposure. The photograph differs from a render in all the ways that photographs do: its lamp is saturated, the lens
darkens its corners, the sensor adds noise, JPEG compresses it, and it shows a red ball that the scene does not have.

``photograph/make_photograph.py`` made it, so that the answer is known.
"""

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import invopt
from invopt import problems
from invopt.rendering import Color, Photograph, Rotation, Translation, explore
from invopt.rendering.pictures.display import to_display

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
folder = Path(__file__).parent / "photograph"

# %%
# What can be unknown? ``invopt scene room.xml`` prints the same in a terminal. Each line has a binding to copy; the
# numbers of the shapes are those of the picture.

found = explore(folder / "room.xml")
print(found)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
found.plot(axes[0])
axes[0].set_title("shapes of the scene")
axes[1].imshow(Image.open(folder / "photo.jpg"))
axes[1].set_title("photo.jpg")
axes[1].axis("off")
plt.show()

# %%
# The unknowns are declared with such bindings. The photograph is six times as fine as the film of the scene, and is
# averaged down to it. Saturated pixels are left out without a further word. The unknown exposure is solved in every
# evaluation, so it is no column of x.
#
# ``relative-mse`` counts relative differences, as the noise of renders and of cameras suggests.

parameters = [
    Translation("crate", axes="xy", bounds=(-1, 1)),
    Rotation("crate", axis=(0, 0, 1), bounds=(-45, 45)),
    Color("wall.bsdf.reflectance"),
]
truth = {"crate.translation": (-0.5, 0.45), "crate.rotation": 25.0, "wall.bsdf.reflectance": (0.25, 0.45, 0.35)}


def solve(photograph):
    """Find the unknowns from a photograph, and print them."""
    problem = problems.Scene(
        folder / "room.xml", parameters=parameters, target=photograph, loss="relative-mse", spp=4 if TINY else 16
    )
    began = time.perf_counter()
    res = invopt.minimize(problem, rng=0, maxfev=30 if TINY else 120)
    print(f"{res.nfev} renders in {time.perf_counter() - began:.0f} s: {res.message}")
    for name, value in res.parameters.items():
        print(f"{name:24} found {np.round(value, 3)}, was {truth.get(name, 0.6)}")
    return problem, res


problem, res = solve(Photograph(folder / "photo.jpg", exposure="unknown"))

# %%
# The message says that the answer is not confirmed, and the rotation is at its bound: something is wrong.
# ``problem.developed`` renders the answer as the photograph would show it. White is what is not compared, the lamp and
# its surroundings. The difference shows a ball that the scene does not have. The crate was turned to the wrong side to
# make up for it.


def show(problem, res):
    """Draw photograph, answer and difference."""
    (answer,) = problem.developed(res)
    _, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
    shown = np.where(answer.compared[:, :, None], 0.5 + 4 * answer.difference, 1.0)
    for ax, title, picture in zip(
        axes,
        ("photograph, averaged down", "found", "four times the difference"),
        (to_display(answer.picture), to_display(answer.render), np.clip(shown, 0, 1)),
        strict=True,
    ):
        ax.imshow(picture)
        ax.set_title(title)
        ax.axis("off")
    plt.show()
    return answer


show(problem, res)

# %%
# What the scene does not have is masked, by an array or a picture: True where the photograph is compared. The answer is
# now right. The darkened corners are left in the residuals; the exposure found is the mean over the picture.

problem, res = solve(Photograph(folder / "photo.jpg", exposure="unknown", mask=folder / "mask.png"))
answer = show(problem, res)
print(f"exposure {answer.fitted['exposure']:.4f} +- {answer.standard_error['exposure']:.4f}")

# %%
# The answer as a table, and the scene with it, as a file that Mitsuba reads. ``invopt run photograph/room.toml`` does
# all of this from a run file.

print(problem.table(res))
with TemporaryDirectory() as out:
    problem.save(res, Path(out) / "found.xml")
    print((Path(out) / "found.xml").stat().st_size, "bytes")
