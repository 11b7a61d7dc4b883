"""Noise of photographs beside that of renders."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.rendering.bound import BoundScene

__all__ = ["noise_of_photographs"]

Array = NDArray[np.float64]

# Seeds of two renders whose difference is their noise.
_SEEDS = (0, 1)


def noise_of_photographs(scene: BoundScene, x: Array, *, spp: int) -> float:
    """Variance of the noise of photographs, as a multiple of that of a render.

    Means over all pixels that are compared, by their weights. The noise of a render is that of two renders at `x`; its
    standard deviation is taken to be proportional to the light, so that `x` need not be the answer. 0 if nothing is
    known of a photograph's noise, or if renders have none.

    Parameters
    ----------
    scene : BoundScene
        The scene with its targets.
    x : ndarray, shape (n,)
        Where it is rendered.
    spp : int
        Samples per pixel of an evaluation.
    """
    targets = [one.target for one in scene.comparisons]
    if all(target.variance is None for target in targets) or not scene.apply(torch.from_numpy(x)):
        return 0.0
    pairs = zip(*(scene.live.images(seed=seed, spp=spp) for seed in _SEEDS), strict=True)
    own = rendered = light = seen = 0.0
    for one, pair in zip(scene.comparisons, pairs, strict=True):
        first, second = (np.asarray(one.exposed(image), dtype=np.float64) for image in pair)
        target = one.target
        weights = (1.0 if target.scales is None else np.square(target.scales)) * np.ones_like(first) * target.weight
        own += 0.0 if target.variance is None else float((weights * target.variance).sum())
        rendered += float((weights * np.square(first - second)).sum()) / 2
        light += float((weights * first * second).sum())
        seen += float((weights * np.square(target.picture, dtype=np.float64)).sum())
    if rendered <= 0.0 or light <= 0.0 or seen <= 0.0:
        return 0.0
    return own / (rendered / light * seen)
