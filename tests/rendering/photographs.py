"""Photographs, and films that they are averaged down to, for tests."""

import numpy as np

from invopt.rendering.photographs.development import Film

RNG = np.random.default_rng(0)
LIGHT = RNG.uniform(0.05, 0.9, (12, 16, 3)).astype(np.float32)
FINE = np.kron(LIGHT, np.ones((4, 4, 1))).astype(np.float32)


def box(distance):
    return (np.abs(distance) < 0.5).astype(np.float64)


def film(height=12, width=16, channels=3, kernel=box, radius=0.5):
    return Film((height, width), channels, kernel, radius)


def encoded(light, bits=8):
    light = np.clip(np.asarray(light, dtype=np.float64), 0, 1)
    numbers = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(numbers * (2**bits - 1)).astype(f"u{bits // 8}")


def compared(target):
    return np.ones(target.picture.shape[:2], bool) if target.scales is None else target.scales[:, :, 0] > 0
