"""
A network trained on the rendering equation
===========================================

A network represents the radiance that surfaces reflect. It is trained without pictures: at random points its output,
the left side of the rendering equation, is compared with the right side, the incident light according to the network
itself, reflected once. The result depends on which of the two sides is differentiated.

``invopt run runs/radiosity.toml`` runs it from a file, with one of the estimators.
"""

import os

import matplotlib.pyplot as plt
import numpy as np

import invopt
from invopt import estimators, optimizers, problems
from invopt.problems.radiosity.pictures.metrics import compare
from invopt.rendering.pictures.display import to_display

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
SCENES = ("gap-room",) if TINY else ("gap-room", "cornell-box")
STEPS = 20 if TINY else 110
SIZE = (24, 24) if TINY else (64, 64)

# %%
# Three estimators
# ----------------
# The full gradient differentiates both sides. It is biased: it also minimises the variance of the right side, which is
# zero in the dark. The dual buffer multiplies two independent residuals, which removes the bias. The semi-gradient
# takes the right side as a constant target. It is correct, and cheaper, because the many directions of the right side
# need no derivatives.

chosen = {
    "full gradient": estimators.FullGradient(),
    "dual buffer": estimators.DualBuffer(),
    "semi-gradient": estimators.SemiGradient(),
}
method = optimizers.Adam(lr=invopt.StepDecay(5e-3, every=max(1, STEPS // 3)))

pictures, errors = {}, {}
for scene in SCENES:
    problem = problems.NeuralRadiosity(scene, preset="paper", field="tiny", n_points=512, n_directions=8)
    found = {
        name: invopt.minimize(problem, estimator, method, rng=0, maxiter=STEPS) for name, estimator in chosen.items()
    }
    with problem.open() as live:
        truth = live.trace(spp=16 if TINY else 128, seed=2**31, size=SIZE)
        emitting = live.emitting_pixels(size=SIZE)
        pictures[scene] = {"path traced": truth}
        for name, res in found.items():
            picture = live.render(res.x, spp=4, size=SIZE)
            pictures[scene][name] = picture
            measured = compare(picture, truth, emitting)
            errors[scene, name] = measured
            figures = f"MSE {measured.mse:.4f}  energy {measured.energy:.2f} of the truth"
            print(f"{scene:12} {name:14} {res.seconds:4.1f} s  {figures}")

# %%
# Side by side
# ------------
# After a few seconds of training the pictures are rough. That of the full gradient is too dark where there is no direct
# light. Below each picture: its absolute error.

figure, axes = plt.subplots(2 * len(SCENES), 4, figsize=(9, 4.6 * len(SCENES)), layout="constrained", squeeze=False)
for row, (scene, shown) in enumerate(pictures.items()):
    for column, (name, picture) in enumerate(shown.items()):
        top, below = axes[2 * row, column], axes[2 * row + 1, column]
        top.imshow(to_display(picture))
        top.set_title(f"{scene}\n{name}" if column == 0 else name)
        below.imshow(np.abs(picture - shown["path traced"]).mean(2), vmin=0, vmax=0.5, cmap="magma")
        below.set_title(f"MSE {errors[scene, name].mse:.3f}" if column else "absolute error")
        top.axis("off")
        below.axis("off")
plt.show()
