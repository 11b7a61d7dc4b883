"""Directions of incident light and their weights. Import with a backend active."""

from __future__ import annotations

from typing import Any, NamedTuple

import drjit
import mitsuba

from .mixture import Mixture

__all__ = ["GUIDED_SHARE", "Directions", "Drawn"]

# Untyped, because their stubs depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Share of the guide in a mixture with the BSDF: half each, so that the second
# moment is at most twice that of either alone.
GUIDED_SHARE = 0.5


class Drawn(NamedTuple):
    """Directions drawn at interactions.

    Local direction; BSDF times cosine over density; density, which is 0 if specular.
    """

    wo: Any
    factor: Any
    density: Any


class Directions:
    """Sampling of incident directions in a scene.

    Parameters
    ----------
    scene : mitsuba.Scene
        A loaded scene.
    sampling : {"uniform", "bsdf", "nee", "guided"}
        How directions are drawn.
    """

    def __init__(self, scene: Any, sampling: str) -> None:
        self.scene = scene
        self.sampling = sampling
        self._context = mi.BSDFContext()

    @property
    def with_emitters(self) -> bool:
        """Whether an emitter is sampled beside each direction."""
        return self.sampling in ("nee", "guided")

    def draw(self, here: Any, sampler: Any, mixture: Mixture | None) -> Drawn:
        """Draw one direction at each interaction."""
        scattered = here.bsdf().sample(self._context, here, sampler.next_1d(), sampler.next_2d())
        by_bsdf = self._from_bsdf(*scattered)
        if self.sampling == "uniform":
            return self._uniform(here, sampler, by_bsdf)
        if mixture is not None:
            return self._mixed(here, sampler, by_bsdf, mixture)
        return by_bsdf

    @staticmethod
    def _from_bsdf(sample: Any, weight: Any) -> Drawn:
        specular = mi.has_flag(sample.sampled_type, mi.BSDFFlags.Delta)
        return Drawn(sample.wo, dr.select(dr.isfinite(weight), weight, 0), dr.select(specular, 0, sample.pdf))

    def _uniform(self, here: Any, sampler: Any, by_bsdf: Drawn) -> Drawn:
        """Uniform over the hemisphere of the viewer, or the whole sphere if transmitting.

        A uniform direction never finds a specular lobe. Where a BSDF has one beside others, as plastic has, directions
        are drawn from the BSDF.
        """
        flags = here.bsdf().flags()
        drawn = sampler.next_2d()
        wo = mi.warp.square_to_uniform_hemisphere(drawn)
        wo.z = dr.mulsign(wo.z, here.wi.z)
        through = mi.has_flag(flags, mi.BSDFFlags.Transmission)
        wo = dr.select(through, mi.warp.square_to_uniform_sphere(drawn), wo)
        density = dr.select(through, dr.inv_four_pi, dr.inv_two_pi)
        value = here.bsdf().eval(self._context, here, wo) / density
        specular = mi.has_flag(flags, mi.BSDFFlags.Delta)
        return Drawn(
            dr.select(specular, by_bsdf.wo, wo),
            dr.select(specular, by_bsdf.factor, value),
            dr.select(specular, by_bsdf.density, density),
        )

    def _mixed(self, here: Any, sampler: Any, by_bsdf: Drawn, mixture: Mixture) -> Drawn:
        """Half of the directions by the guide, half by the BSDF.

        Each is weighted by the density of the mixture.
        """
        guided = sampler.next_1d() < GUIDED_SHARE
        theirs = here.to_local(mixture.sample(sampler.next_1d(), sampler.next_2d()))
        wo = dr.select(guided, theirs, by_bsdf.wo)
        specular = ~guided & (by_bsdf.density <= 0)
        value, density = here.bsdf().eval_pdf(self._context, here, wo)
        density = self._joined(here, wo, density, mixture)
        factor = dr.select(density > 0, value / density, 0)
        return Drawn(
            wo,
            dr.select(specular, by_bsdf.factor / (1 - GUIDED_SHARE), factor),
            dr.select(specular, 0, density),
        )

    @staticmethod
    def _joined(here: Any, wo: Any, density: Any, mixture: Mixture | None) -> Any:
        if mixture is None:
            return density
        return (1 - GUIDED_SHARE) * density + GUIDED_SHARE * mixture.density(here.to_world(wo))

    def next_event(self, here: Any, sampler: Any, mixture: Mixture | None) -> Any:
        """Light of a sampled emitter, weighted by the power heuristic."""
        sample, light = self.scene.sample_emitter_direction(here, sampler.next_2d(), True)
        wo = here.to_local(sample.d)
        value, density = here.bsdf().eval_pdf(self._context, here, wo)
        density = self._joined(here, wo, density, mixture)
        weight = dr.select(sample.delta, 1, _power(sample.pdf, density))
        return dr.select(sample.pdf > 0, value * light * weight, 0)

    def weight_of_hit(self, here: Any, density: Any, there: Any) -> Any:
        """Weight of an emitter found by direction.

        It is 1 for a specular direction, which sampling of emitters cannot find.
        """
        towards = mi.DirectionSample3f(self.scene, there, here)
        other = self.scene.pdf_emitter_direction(here, towards)
        return dr.select(density > 0, _power(density, dr.select(dr.isfinite(other), other, 0)), 1)


# Power heuristic with exponent 2 (Veach and Guibas, "Optimally Combining Sampling Techniques for Monte Carlo
# Rendering", SIGGRAPH 1995).
def _power(first: Any, second: Any) -> Any:
    return first * first / (first * first + second * second)
