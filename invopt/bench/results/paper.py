"""Numbers of the paper, for comparison with ours.

Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering", ICCV 2025.
"""

from __future__ import annotations

import math

__all__ = ["COLUMNS", "EVALUATIONS", "REFERENCE", "RIVALS", "TABLE_2"]

NO = math.nan
# Kind of error and fraction of its start, in the order of the paper's columns.
COLUMNS = tuple((kind, fraction) for kind in ("image", "parameter") for fraction in (0.1, 0.01, 0.001))
# Our presets by the names of the paper's methods.
RIVALS = {
    "Mitsuba": "mitsuba",
    "FR22": "paper-fr22",
    "OurG": "paper-g",
    "OurH": "paper-h",
    "OurHVP": "paper-hvp",
}
REFERENCE = "paper-hvpa"

# Table 2: time relative to OurHVPA; nan where it did not converge or is not given.
TABLE_2: dict[str, dict[str, tuple[float, ...]]] = {
    "quad": {
        "FR22": (1.80, 2.38, 2.98, 2.20, 3.17, 3.90),
        "OurG": (3.98, 5.13, 6.02, 4.72, 6.42, 7.77),
        "OurH": (1.17, 1.17, 1.15, 1.18, 1.16, 1.17),
        "OurHVP": (0.76, 0.62, 0.62, 0.63, 0.59, 0.60),
    },
    "box2": {
        "FR22": (3.24, 2.49, 2.57, 2.78, 2.89, 2.70),
        "OurG": (2.88, 2.16, 2.21, 2.86, 2.65, 2.38),
        "OurH": (0.93, 0.95, 1.08, 0.76, 0.84, 1.84),
        "OurHVP": (0.81, 0.64, 0.70, 0.74, 0.72, 0.72),
    },
    "box10": {
        "FR22": (1.49, 1.20, 1.71, 1.80, 1.54, 1.29),
        "OurG": (2.18, 1.77, 1.53, 2.53, 2.26, 1.88),
        "OurH": (5.97, 5.33, 4.68, 5.48, 5.96, 5.45),
        "OurHVP": (1.51, 1.44, 1.69, 1.26, 1.50, 1.58),
    },
    "mug": {
        "FR22": (5.92, 5.69, 5.46, 3.28, 6.53, 6.29),
        "OurG": (3.99, 3.91, 3.74, 2.36, 4.42, 4.30),
        "OurH": (1.57, 1.09, 1.53, 1.00, 1.08, 1.20),
        "OurHVP": (1.15, 1.14, 1.18, 1.14, 0.87, 1.05),
    },
    "shadow": {
        "FR22": (1.94, 1.40, 1.55, 1.89, 1.14, 1.71),
        "OurG": (1.37, 1.18, 1.13, 2.38, 1.47, 1.34),
        "OurH": (1.67, 1.44, 1.66, 2.32, 1.74, 1.46),
        "OurHVP": (1.14, 0.91, 0.96, 1.37, 1.13, 1.07),
    },
    "bunny": {
        "Mitsuba": (0.90, 1.29, 1.46, 1.87, 1.38, 1.28),
        "FR22": (0.75, 0.75, 1.12, 0.78, 0.63, 0.71),
        "OurG": (0.76, 0.89, 1.07, 0.69, 0.64, 0.76),
        "OurH": (1.29, 1.23, 1.29, 1.18, 0.80, 1.07),
        "OurHVP": (0.68, 0.68, 0.70, 0.63, 0.44, 0.58),
    },
    "texture": {
        "FR22": (4.04, 2.27, 1.80, 4.04, 2.27, 1.80),
        "OurG": (3.03, 2.86, 2.82, 3.03, 2.86, 2.82),
        "OurH": (40.12, 39.78, NO, 40.12, 39.78, NO),
        "OurHVP": (4.01, 4.00, 4.00, 4.01, 4.00, 4.00),
    },
}

# Table 1: evaluations for one sample of each quantity, in the paper's orders of n.
EVALUATIONS = {
    "fd": ("2n", "2n²", "-"),
    "fr22": ("1", "-", "-"),
    "smoothed-gradient": ("n", "-", "-"),
    "smoothed-hessian": ("n", "n²", "-"),
    "hvp": ("n", "-", "n"),
    "hvpa": ("1", "-", "1"),
}
