"""CUDA on this machine: queried from the driver, then tried in a subprocess."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

from invopt.rendering.device import probe

__all__ = ["devices", "verdict"]


@cache
def devices() -> tuple[int, int]:
    """Number of devices and version of the driver; (0, 0) without a working driver."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return 0, 0
    count, version = ctypes.c_int(0), ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0, 0
    driver.cuDriverGetVersion(ctypes.byref(version))
    return count.value, version.value


def verdict() -> tuple[bool, str]:
    """Whether Mitsuba can render with CUDA, and if not, why."""
    count, driver = devices()
    if count == 0:
        return False, "no CUDA driver with a device was found"
    return probe.renders("cuda_ad_rgb", f"driver {driver}|devices {count}", {})
