r"""Functions with known smoothed derivatives, and the estimators' means on them."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import dawsn
from scipy.stats import norm

from invopt.estimators import FR22, SPSA, SharedSamples, SmoothedGradient, SmoothedHessian, SmoothedHVP
from invopt.estimators.smoothing.sampled import SampledEstimator
from invopt.estimators.smoothing.samplers import UNIFORM_HALF_WIDTH

Array = NDArray[np.float64]


class Smoothed(NamedTuple):
    """Value and derivatives of f convolved with a Gaussian."""

    fun: float
    jac: Array
    hess: Array


@frozen(eq=False)
class Quadratic:
    """``c + b.x + x'Ax / 2``: smoothing adds ``sigma^2 tr(A) / 2``."""

    A: Array
    b: Array
    c: float

    def __call__(self, X: Array) -> Array:
        return self.c + X @ self.b + 0.5 * ((X @ self.A) * X).sum(1)

    def smoothed(self, x: Array, sigma: float) -> Smoothed:
        """Exact."""
        fun = float(self(x[None])[0]) + 0.5 * sigma**2 * np.trace(self.A)
        return Smoothed(fun, self.b + self.A @ x, self.A)


@frozen(eq=False)
class Waves:
    """``c + sum_r a_r cos(w_r.x + phi_r)``, not separable: smoothing multiplies term r by a characteristic function."""

    a: Array
    w: Array
    phi: Array
    c: float

    def __call__(self, X: Array) -> Array:
        return self.c + np.cos(X @ self.w.T + self.phi) @ self.a

    def smoothed(self, x: Array, sigma: float) -> Smoothed:
        """Exact."""
        damping = np.exp(-0.5 * sigma**2 * (self.w**2).sum(1))
        return Smoothed(self.mean(x, damping), self.slope(x, damping[:, None]), self._curvature(x, damping))

    def mean(self, x: Array, damping: Array) -> float:
        """Mean of f(x + t) for a symmetric t whose characteristic function at w_r is `damping`."""
        return float(self.c + (self.a * damping) @ np.cos(self.w @ x + self.phi))

    def slope(self, x: Array, damping: Array) -> Array:
        """Gradient, the damping of term r and component i given: shape (r, n) or (r, 1)."""
        return -(self.a * np.sin(self.w @ x + self.phi)) @ (damping * self.w)

    def _curvature(self, x: Array, damping: Array) -> Array:
        return -np.einsum("r,ri,rj->ij", self.a * damping * np.cos(self.w @ x + self.phi), self.w, self.w)


@frozen(eq=False)
class Step:
    """``c + height`` where ``u.x > offset``, |u| = 1, else ``c``: smoothing makes an erf."""

    u: Array
    offset: float
    height: float
    c: float

    def __call__(self, X: Array) -> Array:
        return self.c + self.height * (X @ self.u > self.offset)

    def smoothed(self, x: Array, sigma: float) -> Smoothed:
        """Exact."""
        z = (self.u @ x - self.offset) / sigma
        density = self.height * norm.pdf(z) / sigma
        return Smoothed(
            self.c + self.height * norm.cdf(z), density * self.u, -density * z / sigma * np.outer(self.u, self.u)
        )


Form = Quadratic | Waves | Step
NAMES = ("quadratic", "waves", "step")
SIGMA = 0.7


def make(name: str, n: int) -> tuple[Form, Array, Array]:
    """Function, point and direction of products, fixed by `name` and `n`."""
    rng = np.random.default_rng([n, len(name)])
    x = 0.3 * rng.standard_normal(n)
    p = 1.5 * rng.standard_normal(n)
    direction = rng.standard_normal(n)
    direction /= np.linalg.norm(direction)
    if name == "quadratic":
        # Strong off the diagonal, so that errors of a few per cent show there too.
        off = np.triu(rng.choice([-1.0, 1.0], (n, n)), 1)
        A = off + off.T + np.diag(np.full(n, 1.2 if n == 1 else 0.4))
        b = 1.5 * direction
        # Likewise a value of 0.2 at x, since a constant is noise to a Hessian.
        return Quadratic(A=A, b=b, c=0.2 - float(b @ x + 0.5 * x @ A @ x)), x, p
    if name == "waves":
        w = rng.standard_normal((3, n))
        w *= np.array([[0.8], [1.4], [2.0]]) / np.linalg.norm(w, axis=1, keepdims=True)
        return Waves(a=np.array([1.0, -0.6, 0.4]), w=w, phi=rng.uniform(0.5, 1.2, 3), c=0.3), x, p
    return Step(u=direction, offset=float(direction @ x) - 0.5 * SIGMA, height=2.0, c=-0.7), x, p


def rayleigh_characteristic(u: Array) -> Array:
    r"""Characteristic function of :math:`|t| e^{-t^2/2} / 2`.

    By parts it is :math:`1 - u \int_0^\infty \sin(u t) e^{-t^2/2} dt`, an integral that is Dawson's.
    """
    return 1 - math.sqrt(2) * u * dawsn(u / math.sqrt(2))


def expected(estimator: SampledEstimator, f: Form, x: Array, p: Array) -> dict[str, Array]:
    """Mean of each quantity that the estimator provides, hess as its upper triangle; `fun` where there is a formula."""
    sigma = estimator.sigma.start
    exact = f.smoothed(x, sigma)
    if isinstance(estimator, SPSA):
        return _spsa(f, x, sigma)
    mean = {"jac": _fr22_jac(f, x, sigma) if isinstance(estimator, FR22) else exact.jac}
    if isinstance(estimator, SharedSamples):
        mean["fun"] = np.array([exact.fun])
    elif isinstance(f, Waves):
        mean["fun"] = np.array([f.mean(x, _proposal_characteristic(estimator, sigma * f.w))])
    if isinstance(estimator, SharedSamples | SmoothedHessian):
        mean["hess"] = exact.hess[np.triu_indices(len(x))]
        mean["hessp"] = exact.hess @ p
    if isinstance(estimator, SmoothedHVP):
        length = np.linalg.norm(p)
        step = estimator.rel_step * sigma
        ahead, behind = (f.smoothed(x + sign * step * p / length, sigma).jac for sign in (1, -1))
        mean["hessp"] = length * (ahead - behind) / (2 * step)
    return mean


def _proposal_characteristic(estimator: SampledEstimator, u: Array) -> Array:
    """Characteristic function at the rows of `u` of the density behind `fun`."""
    if isinstance(estimator, FR22):
        return rayleigh_characteristic(u).prod(1)
    assert isinstance(estimator, SmoothedGradient | SmoothedHessian | SmoothedHVP)
    if estimator.proposal == "uniform":
        return np.sinc(UNIFORM_HALF_WIDTH * u / np.pi).prod(1)
    # Optimal and aggregate alike: one dimension Rayleigh, the others Gaussian, averaged over which one.
    return (_one_each(u, rayleigh_characteristic(u), np.exp(-0.5 * u**2))).mean(1)


def _one_each(u: Array, own: Array, other: Array) -> Array:
    """Product over dimensions with `own` in dimension i and `other` elsewhere; shape (r, n) over i."""
    columns = [
        np.prod(np.where(np.arange(u.shape[1]) == i, own, other), axis=1, keepdims=True) for i in range(u.shape[1])
    ]
    return np.hstack(columns)


def _fr22_jac(f: Form, x: Array, sigma: float) -> Array:
    """Derivative of f smoothed by a Gaussian in its own dimension and by ``|t| exp(-t^2/2) / 2`` in the others."""
    if isinstance(f, Quadratic):
        return f.smoothed(x, sigma).jac
    if isinstance(f, Waves):
        u = sigma * f.w
        return f.slope(x, _one_each(u, np.exp(-0.5 * u**2), rayleigh_characteristic(u)))
    # d/dx_i of P(u.(x - tau) > offset) is u_i times the density of u.tau at the distance to the edge, which is the
    # inverse Fourier transform of its characteristic function; for n = 1 that is the Gaussian density again.
    distance = float(f.u @ x) - f.offset

    def density(i: int) -> float:
        def integrand(k: float) -> float:
            u = sigma * k * f.u[None]
            return float(_one_each(u, np.exp(-0.5 * u**2), rayleigh_characteristic(u))[0, i]) * math.cos(k * distance)

        # The Gaussian factor decides where the integral ends.
        end = 9 / (sigma * abs(f.u[i]))
        return quad(integrand, 0, end, limit=500, epsabs=1e-10)[0] / math.pi

    return np.array([f.height * f.u[i] * density(i) for i in range(len(x))])


def _spsa(f: Form, x: Array, sigma: float) -> dict[str, Array]:
    """Average over all 2^n directions."""
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(x))))
    values = f(x + sigma * signs)
    return {"fun": np.array([values.mean()]), "jac": (values[:, None] * signs).mean(0) / sigma}
