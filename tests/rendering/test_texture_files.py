"""Textures found are written as files."""

import numpy as np
import pytest

from invopt import problems
from invopt.rendering import Texels, Value
from invopt.rendering.pictures.targets import read_target

from .rooms import room


@pytest.mark.render
def test_textures_are_written_as_pictures(tmp_path):
    problem = problems.Scene(
        room, parameters=[Texels("picture.bsdf.reflectance"), Value("bulb.intensity", log=True)], x_opt=np.zeros(17)
    )
    x = np.append(np.linspace(0, 0.9, 16), 0.0)
    for suffix, tolerance in ((".exr", 1e-6), (".png", 0.005)):
        (path,) = problem.save_textures(x, tmp_path / "found", suffix=suffix)
        assert path.name == f"picture_bsdf_reflectance{suffix}"
        np.testing.assert_allclose(read_target(path)[:, :, 0], x[:16].reshape(4, 4), atol=tolerance)
    with pytest.raises(ValueError, match="'suffix' must be one of .exr, .png: '.jpg'"):
        problem.save_textures(x, tmp_path, suffix=".jpg")
    alone = problems.Scene(room, parameters=Value("bulb.intensity", log=True), x_opt=[0.0])
    with pytest.raises(ValueError, match="'parameters' must be such that one of them is Texels"):
        alone.save_textures([0.0], tmp_path)
