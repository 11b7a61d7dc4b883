"""Neural radiosity: a network that satisfies the rendering equation of a scene."""

from __future__ import annotations

from attrs import frozen

from invopt.plugin import one_at_a_time
from invopt.rendering.backend import activate

from .objective import RadiosityObjective
from .radiosity_description import RadiosityDescription

__all__ = ["NeuralRadiosity"]


@frozen(kw_only=True, eq=False, repr=False)
class NeuralRadiosity(RadiosityDescription):
    r"""A radiance cache of a scene, learned without pictures of it [1]_ [2]_.

    The field :math:`N_\theta` gives what is reflected; radiance is :math:`L_\theta = E + N_\theta`. Training makes it
    agree with its own one-bounce transport :math:`E + \int L_\theta f \cos` at random points of the surfaces. x is the
    flat vector of weights.

    Parameters
    ----------
    scene : str, Path, dict or callable, default "cornell-box"
        A name ("cornell-box", "gap-room", "glossy-plates", "furnace"), an XML file, Mitsuba's dictionary, or what
        builds one once a backend is active.
    field : {"small", "paper", "tiny"}, Field or mapping of its fields, default "small"
        The network; "small" is for a CPU.
    n_points : int, default 2**14
        Points drawn an iteration, uniform by area over all surfaces that scatter.
    n_directions : int, default 32
        Incident directions at each.
    loss : {"relative-l2", "symmetric-l2", "l2", "rmse", "huber", "mae"} or ResidualLoss, default "relative-l2"
        How the sides are compared; "symmetric-l2" needs two directions at least.
    sides : {"outgoing", "reflected"}, default "outgoing"
        What is compared: all that leaves a point, as in the papers, or what it reflects, without what it emits. Their
        differences are the same; but a relative loss divides a lamp's by all of its light or by what the field is to
        learn there.
    sampling : {"uniform", "bsdf", "nee", "guided"}, default "bsdf"
        Incident directions: uniform; the BSDF's; those and a sampled emitter each, by multiple importance sampling; or
        that with half of the directions from a network which learns where light comes from.
    bounces : int, default 1
        How often the right side traces light on before it asks the field, 1 to 64; 1 is the papers'. Each bounce more
        makes the feedback of the field's own errors weaker, by as much as surfaces absorb, and the right side noisier:
        the n-step returns of reinforcement learning [3]_. The fixed point of the semi-gradient is the same.
    dark_density : float, default 1
        Points per area of the faces of surfaces where no light arrives, such as the outer ones of a room's two-sided
        walls, in (0, 1]: faces that are lit everywhere have 1. 1 is the papers'. What counts is the share of a shape's
        face that sends light, so that the lit part of a mostly dark one has fewer points too: split what runs through
        several rooms.
    guide : Guide, optional
        That network; given with ``sampling="guided"`` only.
    precision : {"float32", "mixed"}, optional
        Of the hidden layers; by default mixed on a GPU.
    encoder : {"drjit", "torch"}, default "drjit"
        What looks up the hash grid; the results are the same up to rounding.
    media : {"refuse", "ignore"}, default "refuse"
        What to do about a scene with participating media: its surfaces alone can be learned.
    variables : mapping, optional
        Values of the ``$variables`` of an XML file.
    backend : {"cuda", "llvm"}, optional
        What to trace with; by default the best usable.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong kind or range; `SceneError`, when opened, for participating media, scenes without
        light or surfaces, and lights that the sampling never finds.

    Notes
    -----
    A checkpoint belongs to the scene, the field, the guide and the loss; how points and directions are drawn, their
    number and the bounces may be others when a run goes on from it, for the weights mean the same.

    Specular surfaces (dielectrics, mirrors) hold nothing of the field: camera rays and incident ones pass through them.
    A specular lobe beside a smooth one, as in plastic, is found by BSDF sampling.

    References
    ----------
    .. [1] Hadadan, Chen, Zwicker, "Neural Radiosity", SIGGRAPH Asia 2021.
    .. [2] Cho, Cho, "Fast and Accurate Neural Rendering Using Semi-Gradients", 2024.
    .. [3] Sutton, Barto, "Reinforcement Learning: An Introduction", 2nd ed., 2018, chapter 7.

    Examples
    --------
    >>> NeuralRadiosity("gap-room", field="tiny").n
    1747
    """

    @one_at_a_time()
    def open(self) -> RadiosityObjective:
        """Load the scene and check that it can be learned."""
        activate(self.backend)
        return RadiosityObjective(self)
