"""Invalid arguments of scenes, bindings and meshes are refused at construction."""

import math

import numpy as np
import pytest

from invopt.exceptions import SceneError
from invopt.rendering import Color, Custom, Mesh, Rotation, Scale, Texels

from .odd_rooms import CORNERS, scene, setting, textured

WRITTEN = {
    "variables, a number": (dict(variables=1), TypeError, r"'variables' must be a mapping .*\{'resx': 128\}: 1"),
    "variables, a list": (dict(variables=["a"]), TypeError, "'variables' must be a mapping"),
    "variables named by numbers": (dict(variables={1: 2}), TypeError, "'variables' must be a mapping of names"),
    "variables of a dictionary": (
        dict(variables={"a": 2}),
        ValueError,
        "'variables' are for an XML file, and 'scene' is",
    ),
    "a list as scene": (dict(description=[1]), TypeError, "'scene' must be an XML file, a dictionary or a callable"),
    "a folder as scene": (dict(description="/"), SceneError, "'scene' '/' is not a file"),
    "no parameters": (dict(parameters=None), TypeError, "'parameters' must be bindings such as .*: None"),
    "a number as parameters": (dict(parameters=3), TypeError, "'parameters' must be bindings such as .*: 3"),
    "a class as parameter": (dict(parameters=[Color]), TypeError, "'parameters' must be bindings"),
    "a text as parameter": (dict(parameters="ball"), TypeError, "'parameters' must be bindings"),
    "half a sensor": (dict(sensors=1.5), TypeError, "'sensors' must be an integer: 1.5"),
    "no loss": (dict(loss=None), TypeError, "'loss' must be a name, a Loss or a callable"),
    "another backend": (dict(backend="optix"), ValueError, "'backend' must be one of cuda, llvm, scalar: 'optix'"),
    "masked pixels": (
        dict(description=textured(bitmap=np.ma.masked_less(np.ones((4, 4, 3)), 2))),
        SceneError,
        "'scene' has an array with masked elements",
    ),
}
BINDINGS = {
    "a name that is a number": (lambda: Color("a", name=3), TypeError, "'name' must be a str: 3"),
    "an empty name": (lambda: Color("a", name=""), ValueError, "'name' must be not empty"),
    "a negative scale": (lambda: Color("a", scale=-1), ValueError, "'scale' must be > 0: -1"),
    "a scale in words": (lambda: Color("a", scale="big"), TypeError, "'scale' must be a real number: 'big'"),
    "one number as shape": (lambda: Texels("a", shape=4), ValueError, "'shape' must be .rows, columns"),
    "flags as shape": (lambda: Texels("a", shape=(True, 4, 1)), ValueError, "'shape' must be .rows, columns"),
    "an axis of two": (lambda: Rotation("a", axis=(1, 0)), ValueError, "'axis' must have 3 elements"),
    "an axis in words": (lambda: Rotation("a", axis="x"), TypeError, "'axis' must be an array of real numbers"),
    "an axis of nan": (lambda: Rotation("a", axis=(math.nan, 0, 1)), ValueError, "'axis' must be finite"),
    "a masked axis": (
        lambda: Rotation("a", axis=np.ma.masked_less([0, 0, 1], 0.5)),
        ValueError,
        "'axis' must have no masked elements",
    ),
    "a centre of two": (lambda: Scale("a", center=(0, 0)), ValueError, "'center' must have 3 elements"),
    "a function that returns nothing": (
        lambda: scene(parameters=Custom("c", function=lambda x: None, x0=[1.0])),
        TypeError,
        "'function' of 'c' must return a mapping of keys to values: None",
    ),
    "a function that sets nothing": (
        lambda: scene(parameters=Custom("c", function=lambda x: {}, x0=[1.0])),
        ValueError,
        "'function of c' must be one that returns at least one value",
    ),
    "a function that sets a number": (
        lambda: scene(parameters=setting(3, 1.0)),
        TypeError,
        "mapping of names .* name 3",
    ),
    "a function that returns words": (
        lambda: scene(parameters=setting("paint.reflectance", "red")),
        TypeError,
        "'function' of 'c' must return numbers for 'paint.reflectance'",
    ),
    "a function that returns masked values": (
        lambda: scene(parameters=setting("paint.reflectance", np.ma.masked_less([0.1, 0.5, 0.6], 0.3))),
        TypeError,
        "must return numbers for 'paint.reflectance': it has masked elements",
    ),
    "a mesh without faces": (
        lambda: Mesh(CORNERS, np.zeros((0, 3), int), CORNERS[:, :2]),
        ValueError,
        "'faces' must be",
    ),
    "a face of no vertex": (
        lambda: Mesh(CORNERS, [[0, 1, 9]], CORNERS[:, :2]),
        ValueError,
        "'faces' must be indices of vertices, from 0 to 3",
    ),
    "a negative face": (lambda: Mesh(CORNERS, [[0, 1, -1]], CORNERS[:, :2]), ValueError, "'faces' must be indices of"),
    "faces of halves": (lambda: Mesh(CORNERS, [[0, 1, 2.5]], CORNERS[:, :2]), ValueError, "'faces' must be integers"),
    "a mesh in the plane": (
        lambda: Mesh(CORNERS[:, :2], [[0, 1, 2]], CORNERS[:, :2]),
        ValueError,
        "'vertices' must be",
    ),
    "a mesh of nan": (lambda: Mesh(CORNERS * math.nan, [[0, 1, 2]], CORNERS[:, :2]), ValueError, "'vertices' must be"),
    "too few texture coordinates": (lambda: Mesh(CORNERS, [[0, 1, 2]], CORNERS[:3, :2]), ValueError, "'uv' must be of"),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_refused_when_written(case):
    facts, error, message = WRITTEN[case]
    with pytest.raises(error, match=message):
        scene(**facts)


@pytest.mark.parametrize("case", BINDINGS)
def test_bindings_and_meshes_refused_when_written(case):
    make, error, message = BINDINGS[case]
    with pytest.raises(error, match=message):
        make()
