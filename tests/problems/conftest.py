"""A scene in a file, for the tests of scenes."""

import numpy as np
import pytest

from invopt.rendering import activate
from invopt.rendering.backend import two_threads

from .tiny_scenes import XML


@pytest.fixture
def xml(tmp_path):
    import mitsuba as mi

    activate()
    checks = np.indices((8, 8)).sum(0) % 2 * 0.6 + 0.2
    with two_threads():
        mi.Bitmap(checks[:, :, None].astype(np.float32)).write(str(tmp_path / "checks.exr"))
    path = tmp_path / "room.xml"
    path.write_text(XML)
    return path
