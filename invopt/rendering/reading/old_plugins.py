"""Plugins of Mitsuba 0.6, and what Mitsuba 3 has in their place."""

from __future__ import annotations

__all__ = ["DROPPED", "KEPT", "KNOWN", "REPLACED", "TAGS"]

# Elements with other names.
TAGS = {"lookAt": "lookat", "srgb": "rgb", "luminaire": "emitter", "camera": "sensor"}
# Plugins of Mitsuba 3.9 by the element that makes them, of those that files of 0.6 may have.
KNOWN: dict[str, frozenset[str]] = {
    "integrator": frozenset({"path", "direct", "volpath", "volpathmis", "ptracer", "depth", "aov", "moment"}),
    "sampler": frozenset({"independent", "stratified", "multijitter", "orthogonal", "ldsampler"}),
    "film": frozenset({"hdrfilm", "specfilm"}),
    "rfilter": frozenset({"box", "tent", "gaussian", "mitchell", "catmullrom", "lanczos"}),
    "sensor": frozenset({"perspective", "thinlens", "orthographic", "radiancemeter", "irradiancemeter", "distant"}),
    "emitter": frozenset(
        {"area", "constant", "envmap", "point", "spot", "directional", "directionalarea", "projector", "sunsky"}
    ),
    "bsdf": frozenset(
        {
            "diffuse",
            "dielectric",
            "thindielectric",
            "roughdielectric",
            "conductor",
            "roughconductor",
            "plastic",
            "roughplastic",
            "bumpmap",
            "normalmap",
            "blendbsdf",
            "mask",
            "twosided",
            "null",
            "principled",
            "principledthin",
            "measured",
        }
    ),
    "texture": frozenset({"bitmap", "checkerboard", "mesh_attribute", "volume"}),
    "shape": frozenset(
        {
            "obj",
            "ply",
            "serialized",
            "sphere",
            "cylinder",
            "rectangle",
            "disk",
            "cube",
            "shapegroup",
            "instance",
            "merge",
            "bsplinecurve",
            "linearcurve",
        }
    ),
    "medium": frozenset({"homogeneous", "heterogeneous"}),
    "phase": frozenset({"isotropic", "hg", "rayleigh", "tabphase", "sggx", "blendphase"}),
    "volume": frozenset({"constvolume", "gridvolume"}),
}
# The nearest plugin of Mitsuba 3. All these integrators find the same light; what differs is how fast.
REPLACED: dict[str, dict[str, str]] = {
    "integrator": dict.fromkeys(
        ("bdpt", "photonmapper", "ppm", "sppm", "pssmlt", "mlt", "erpt", "vpl"),
        "path",
    )
    | {"volpath_simple": "volpath"},
    "sampler": dict.fromkeys(("halton", "hammersley", "sobol"), "independent"),
    "film": dict.fromkeys(("ldrfilm", "mfilm", "tiledhdrfilm"), "hdrfilm"),
    "rfilter": {"lanczossinc": "lanczos", "lanczosSinc": "lanczos"},
    "bsdf": {"roughdiffuse": "diffuse", "bump": "bumpmap"},
    "texture": {"vertexcolors": "mesh_attribute"},
}
# Of a plugin that is replaced, parameters that mean the same.
KEPT: dict[str, frozenset[str]] = {
    "integrator": frozenset({"maxDepth", "rrDepth", "hideEmitters"}),
    "sampler": frozenset({"sampleCount", "seed"}),
    "film": frozenset(
        {"width", "height", "cropOffsetX", "cropOffsetY", "cropWidth", "cropHeight", "highQualityEdges", "rfilter"}
    ),
}
# Parameters that Mitsuba 3 has no more.
DROPPED: dict[tuple[str, str], tuple[str, ...]] = {
    ("integrator", "path"): ("strictNormals",),
    ("integrator", "direct"): ("strictNormals",),
    ("integrator", "volpath"): ("strictNormals",),
    ("film", "hdrfilm"): ("attachLog", "banner", "highQualityEdges"),
    ("bsdf", "roughdiffuse"): ("alpha", "useFastApprox"),
    ("shape", "obj"): ("maxSmoothAngle", "collapse"),
    ("shape", "ply"): ("maxSmoothAngle", "srgb"),
    ("shape", "serialized"): ("maxSmoothAngle",),
    ("texture", "bitmap"): ("maxAnisotropy", "cache", "gamma"),
}
