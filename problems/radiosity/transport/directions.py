"""Sampling of incident directions. Import with a backend active."""

from __future__ import annotations

from typing import Any, NamedTuple

import drjit
import mitsuba

from .mixture import Mixture

__all__ = ["GUIDED_SHARE", "Directions", "Drawn"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Share of the guide in the mixture with the BSDF: equal shares, so that either density is at most halved.
GUIDED_SHARE = 0.5


class Drawn(NamedTuple):
    """A direction at each interaction.

    Attributes
    ----------
    wo : Vector3f
        Direction in local coordinates.
    factor : Color3f
        BSDF times cosine over the density.
    density : Float
        Density per solid angle, 0 if the direction is specular.
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
        """Whether each direction has an emitter sample too."""
        return self.sampling in ("nee", "guided")

    def draw(self, here: Any, sampler: Any, mixture: Mixture | None) -> Drawn:
        """Draw a direction at each interaction."""
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
        """Draw from the viewer's hemisphere, or the sphere if the BSDF transmits.

        If a BSDF has a specular lobe beside others, as plastic has, uniform directions never find it. Its directions
        are therefore drawn from the BSDF.
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
        """Draw from the mixture of guide and BSDF, with the density of the mixture."""
        guided = sampler.next_1d() < GUIDED_SHARE
        from_guide = here.to_local(mixture.sample(sampler.next_1d(), sampler.next_2d()))
        wo = dr.select(guided, from_guide, by_bsdf.wo)
        specular = ~guided & (by_bsdf.density <= 0)
        value, density = here.bsdf().eval_pdf(self._context, here, wo)
        density = self._joint_density(here, wo, density, mixture)
        factor = dr.select(density > 0, value / density, 0)
        return Drawn(
            wo,
            dr.select(specular, by_bsdf.factor / (1 - GUIDED_SHARE), factor),
            dr.select(specular, 0, density),
        )

    @staticmethod
    def _joint_density(here: Any, wo: Any, density: Any, mixture: Mixture | None) -> Any:
        if mixture is None:
            return density
        return (1 - GUIDED_SHARE) * density + GUIDED_SHARE * mixture.density(here.to_world(wo))

    def next_event(self, here: Any, sampler: Any, mixture: Mixture | None) -> Any:
        """Light of an emitter sample, weighted by the power heuristic."""
        sample, light = self.scene.sample_emitter_direction(here, sampler.next_2d(), True)
        wo = here.to_local(sample.d)
        value, density = here.bsdf().eval_pdf(self._context, here, wo)
        density = self._joint_density(here, wo, density, mixture)
        weight = dr.select(sample.delta, 1, _power(sample.pdf, density))
        return dr.select(sample.pdf > 0, value * light * weight, 0)

    def weight_of_hit(self, here: Any, density: Any, there: Any) -> Any:
        """Weight of an emitter that a direction has found.

        It is 1 for a specular direction, which no emitter sample can have.
        """
        towards = mi.DirectionSample3f(self.scene, there, here)
        other = self.scene.pdf_emitter_direction(here, towards)
        return dr.select(density > 0, _power(density, dr.select(dr.isfinite(other), other, 0)), 1)


# Power heuristic with exponent 2 (Veach and Guibas, "Optimally Combining Sampling Techniques for Monte Carlo
# Rendering", SIGGRAPH 1995).
def _power(first: Any, second: Any) -> Any:
    """Weight of the first of two densities by the power heuristic with exponent 2."""
    return first * first / (first * first + second * second)
