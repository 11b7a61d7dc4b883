"""Neural radiosity: train a network to satisfy the rendering equation of a scene."""

from __future__ import annotations

from attrs import frozen

from invopt.plugin import one_at_a_time
from invopt.rendering.backend import activate

from .objective import RadiosityObjective
from .radiosity_description import RadiosityDescription

__all__ = ["NeuralRadiosity"]


@frozen(kw_only=True, eq=False, repr=False)
class NeuralRadiosity(RadiosityDescription):
    r"""A radiance field of a scene, trained without pictures of it [1]_ [2]_.

    The field :math:`N_\theta` is the reflected radiance, and :math:`L_\theta = E + N_\theta` the radiance that leaves a
    point, with the emission E. The field is trained to equal the light that it reflects itself after one bounce,
    :math:`\int L_\theta f \cos`, at random points of the surfaces. x is the flat vector of weights.

    Parameters
    ----------
    scene : str, Path, dict or callable, default "cornell-box"
        A name ("cornell-box", "gap-room", "glossy-plates", "furnace"), an XML file, a dictionary for Mitsuba, or a
        function that returns such a dictionary, called with an active backend.
    preset : {"rooms", "paper"}, default "rooms"
        Where the fields that are not given come from: "rooms" are settings that are right in rooms nobody prepared, and
        "paper" those of the papers [1]_ [2]_, by which estimators are compared. In the following, the first value is
        that of "rooms", the second that of "paper".
    field : {"small", "paper", "tiny"}, Field or mapping of its fields, default "small"
        The network; "small" is meant for a CPU. With ``preset="paper"``, one that is given by its size has linear
        outputs and the papers' inputs.
    n_points : int
        Points of an iteration; 1024 or 2^14.
    n_directions : int
        Incident directions at each point; 4 or 32.
    loss : {"tweedie", "relative-l2", "symmetric-l2", "l2", "rmse", "huber", "mae"} or ResidualLoss
        How the two sides are compared; `Tweedie` or `RelativeL2`. "symmetric-l2" needs at least two directions.
    sides : {"reflected", "outgoing"}
        What is compared: the reflected light only, or all light that leaves a point, as in the papers. The differences
        of the two sides are the same, but on a lamp a relative loss divides them by all its light or by what it
        reflects.
    sampling : {"nee", "bsdf", "uniform", "guided"}
        Incident directions: drawn from the BSDF, with an emitter sample for each by multiple importance sampling; drawn
        from the BSDF alone, as in the papers; uniform; or as "nee", with half of the directions from `guide`.
    points : {"views", "area"}
        Where the points are: three quarters on paths from cameras, which are reflected up to three times, and one
        quarter by area; or all uniform by area over all surfaces that scatter light, as in the papers. With "views" the
        hash grid spans the box of what the cameras see, up to the 99.9 % quantile along each axis.
    sensors : int, dict or sequence of these, optional
        Cameras whose views are meant: numbers of cameras of the scene, or descriptions of others, such as a path of
        cameras; by default all of the scene. A scene without cameras has points by area, with a warning.
    box : (array_like, array_like), optional
        Lowest corner and size of the hash grid's box, of shape (3,) each, instead of the one by `points`.
    bounces : int, default 1
        Reflections on the right side before the field is evaluated, from 1, which is the papers' value, to 64. With
        each further bounce the errors of the field return weaker, because surfaces absorb light, and the right side is
        noisier, as n-step returns in reinforcement learning [3]_ are. The fixed point of the semi-gradient is the same.
    dark_density : float, default 1
        Density of points on the faces of shapes where no light arrives, such as the outer faces of a room's two-sided
        walls, relative to faces that are lit everywhere; in (0, 1], where 1 is the papers' value. The density of a face
        is its lit share, also on its lit part, so that shapes that extend over several rooms should be split.
    guide : Guide, optional
        Network that learns where light comes from; with ``sampling="guided"`` only.
    precision : {"float32", "mixed"}, optional
        Precision of the hidden layers; by default mixed on a GPU.
    encoder : {"drjit", "torch"}, default "drjit"
        Implementation of the hash grid; the results are the same up to rounding.
    energy_check : bool
        Whether a run measures at its end, without a reference, the energy of the field's pictures over the truth's, and
        warns unless it is from 0.95 to 1.05; True or False. ``res.energy`` and ``res.energy_standard_error`` are those
        of the field, ``res.energy_rhs`` and ``res.energy_rhs_standard_error`` those of its right side.
    media : {"refuse", "ignore"}, default "refuse"
        What to do with participating media: "ignore" trains the field of the surfaces without them.
    variables : mapping, optional
        Values of the ``$variables`` of an XML file.
    backend : {"cuda", "llvm"}, optional
        Mitsuba's backend; by default the fastest that works on this machine.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range. `open` raises `SceneError` for participating media, for
        scenes without light or surfaces, and for lights that the sampling never finds.

    Notes
    -----
    A checkpoint belongs to the scene, the field, the guide, the loss, and `points`, `sensors` and `box`, on which the
    hash grid depends. How directions are drawn, the numbers of points and directions and the bounces may change when a
    run is resumed, because the meaning of the weights does not depend on them.

    Of "rooms", all but the network's size and the rate was measured in seven scenes; see :doc:`/radiosity`.

    The field has no values on specular surfaces (dielectrics, mirrors): camera rays and incident rays pass through
    them. A specular lobe beside a smooth one, as of plastic, is sampled by the BSDF.

    References
    ----------
    .. [1] Hadadan, Chen, Zwicker, "Neural Radiosity", SIGGRAPH Asia 2021.
    .. [2] Cho, Cho, "Fast and Accurate Neural Rendering Using Semi-Gradients", 2024.
    .. [3] Sutton, Barto, "Reinforcement Learning: An Introduction", 2nd ed., 2018, chapter 7.

    Examples
    --------
    >>> NeuralRadiosity("gap-room", field="tiny").n
    1795
    """

    @one_at_a_time()
    def open(self) -> RadiosityObjective:
        """Load the scene and check that neural radiosity can handle it."""
        activate(self.backend)
        return RadiosityObjective(self)
