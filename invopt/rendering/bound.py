"""A live scene with its bindings and targets: x in, pictures and derivatives out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from attrs import evolve
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from torch import Tensor

from invopt.core.answers.shading import Shading
from invopt.core.formatting import shown
from invopt.core.objective import Adjoint
from invopt.exceptions import BackendError, SceneError
from invopt.rendering.backend import active
from invopt.rendering.bindings.binding import Binding, ValueBinding
from invopt.rendering.bindings.custom import Custom
from invopt.rendering.bindings.effect import check_effect
from invopt.rendering.bindings.layout import Layout
from invopt.rendering.bindings.motion import Motion
from invopt.rendering.choice import Backend
from invopt.rendering.losses import Loss
from invopt.rendering.parameter import Parameter
from invopt.rendering.photographs.comparisons import Comparisons
from invopt.rendering.photographs.target import Target
from invopt.rendering.reading.adjoints import samples_edges
from invopt.rendering.reading.loading import Blueprint
from invopt.rendering.scene import LiveScene
from invopt.rendering.shading.shaded import Shaded
from invopt.rendering.views import View

__all__ = ["BoundScene"]


class BoundScene:
    """A scene with its bindings and targets.

    Parameters
    ----------
    blueprint : Blueprint
        The scene.
    bindings : tuple of Binding
        Bindings, in the order of their columns.
    views : tuple of View
        The pictures that are taken.
    loss : Loss
        Comparison of pictures.
    """

    def __init__(
        self, blueprint: Blueprint, bindings: tuple[Binding, ...], views: tuple[View, ...], loss: Loss
    ) -> None:
        self._blueprint = blueprint
        self._bindings = bindings
        self._views, self._loss = views, loss
        self._targets: list[Target] = []
        self.comparisons: Comparisons
        self.live: LiveScene
        self._load(None)

    def own(self, binding: Binding) -> Parameter:
        """Parameter that a binding sets, as the scene has it."""
        return self.live.parameter(binding.target)

    def set_targets(self, targets: list[Target]) -> None:
        """Set one target for each view."""
        self._targets = targets
        self.comparisons = self.live.compare(self._loss, targets)

    def apply(self, x: Tensor) -> bool:
        """Set the scene to `x` of shape (n,); bindings that did not change are skipped.

        Returns False, and does nothing, if `x` or a value that a binding computes from it is not finite: the ray tracer
        would not return from such a matrix.
        """
        if not bool(torch.isfinite(x).all()):
            return False
        values: dict[str, Tensor] = {}
        parts = {number: x[columns] for number, (_, columns) in enumerate(self._groups)}
        changed = {number for number, part in parts.items() if not _same(self._held.get(number), part)}
        for number in changed:
            values.update(self._values(self._groups[number][0], x))
        if not all(bool(torch.isfinite(value).all()) for value in values.values()):
            return False
        self.live.assign(values)
        self._held.update({number: parts[number].clone() for number in changed})
        return True

    def motions(self, x: Tensor) -> dict[str, tuple[NDArray[np.float64], bool]]:
        """Motion of each object that moves: a 4x4 matrix, and whether in its own frame."""
        found = {}
        for group, _ in self._groups:
            binding = group[0][0]
            if isinstance(binding, Motion):
                found[binding.target] = self._motion(group, x).numpy(), binding.local
        return found

    def settings(self, x: Tensor) -> dict[str, NDArray[np.float64]]:
        """Values of all parameters that are not motions, by Mitsuba's names."""
        values: dict[str, Tensor] = {}
        for group, _ in self._groups:
            if isinstance(group[0][0], ValueBinding):
                values.update(self._values(group, x))
        return {
            (name := self.live.resolve(key)): value.numpy().reshape(self.live.own(name).shape)
            for key, value in values.items()
        }

    def derivative(self, x: Tensor, *, seed: int, spp: int, adjoint: Adjoint) -> tuple[float, Tensor]:
        """Loss at `x` of shape (n,) and its derivative, computed by the renderer."""
        self.require_derivative(adjoint.integrator)
        leaf = x.detach().clone().requires_grad_()
        values: dict[str, Tensor] = {}
        for group, _ in self._groups:
            values.update(self._values(group, leaf))
        self._held.clear()
        loss, gradients = self.live.derivative(values, seed=seed, spp=spp, max_depth=adjoint.max_depth)
        outputs = [values[key] for key in gradients if values[key].requires_grad]
        back = [torch.from_numpy(gradients[key]) for key in gradients if values[key].requires_grad]
        if not outputs:
            return loss, torch.zeros_like(x)
        (jac,) = torch.autograd.grad(outputs, leaf, back, allow_unused=True)
        return loss, torch.zeros_like(x) if jac is None else jac

    def shading(self, x: Tensor, *, seed: int, spp: int) -> Shading | None:
        """Residuals at `x` and their Jacobian by what shades; None if not finite.

        Values near 0 are rendered at a floor, because nothing is reflected or emitted at 0 that could be booked, and
        the picture is carried back by its Jacobian.
        """
        if not self.apply(x):
            return None
        values, raised, slopes = self._shaded.at(x)
        changed = {name: value for name, value in raised.items() if not torch.equal(value, values[name])}
        if changed:
            self.live.assign(changed)
            # What they are now is not what `x` says.
            self._held.clear()
        images, jacobians = [], []
        found = self.live.recorded(list(values), seed=seed, spp=spp)
        for (names, booked), (width, height) in zip(found, self.live.sizes(), strict=True):
            back = np.concatenate([np.zeros(0), *((values[name] - raised[name]).numpy().ravel() for name in names)])
            image = booked.image + (booked.jacobian @ back).reshape(booked.image.shape)
            images.append(image.reshape(height, width, -1))
            empty = csr_matrix((0, len(x)))
            jacobians.append(booked.jacobian @ vstack([empty, *(slopes[name] for name in names)], format="csr"))
        return self.comparisons.shading(images, jacobians)

    def require_derivative(self, integrator: str) -> None:
        """Load the scene for derivatives; raise if it has none."""
        if self._blueprint.integrator == integrator:
            return
        if active() is Backend.SCALAR:
            raise BackendError("the scalar backend has no derivatives: use LLVM or CUDA, or a sampled estimator")
        if not self._loss.differentiable:
            raise SceneError(f"{self._loss.name} has no derivative: use a loss that has, such as 'mse'")
        self._load(integrator)
        self.set_targets(self._targets)
        for group, _ in self._groups:
            for key in self._values(group, self._any_point()):
                if not self.live.differentiable(key):
                    names = ", ".join(repr(binding.label) for binding, _ in group)
                    raise SceneError(
                        f"Mitsuba has no derivative with respect to {shown(key)}, which {names} needs: use a sampled "
                        f"estimator, such as SharedSamples"
                    )

    @property
    def blind_spots(self) -> str:
        """What the derivative of the loaded integrator neglects; empty if nothing."""
        moving = [binding.label for binding in self._bindings if isinstance(binding, Motion)]
        if not moving or self._blueprint.integrator is None or samples_edges(self.live.integrator()):
            return ""
        return (
            f"the derivative of {self.live.integrator().class_name()} neglects the motion of edges and shadows: for "
            f"{', '.join(moving)} it is that of the shading alone"
        )

    def close(self) -> None:
        """Drop the scene."""
        self.live.close()

    def _load(self, integrator: str | None) -> None:
        # Only one scene in a process: the old one is closed before the new one is loaded.
        if integrator is not None:
            self.live.close()
        self._blueprint = evolve(self._blueprint, integrator=integrator)
        self.live = LiveScene(self._blueprint, self._views)
        self._held: dict[int, Tensor] = {}
        layout = Layout(self._bindings, self.own)
        self._groups = _grouped(layout)
        self._centers = {
            binding.target: torch.from_numpy(self.live.center_of(binding.target))
            for binding in self._bindings
            if isinstance(binding, Motion)
        }
        self._initial = layout.initial
        pairs = [(group[0][0], numbers) for group, numbers in self._groups]
        self._shaded = Shaded(self.live, [pair for pair in pairs if pair[0].shades], self.own)
        for binding in self._bindings:
            check_effect(binding, self.live)
        self._check_keys(self._any_point())

    def brightness_columns(self) -> list[int]:
        """Columns of x that make lights bright; none if a light is known."""
        bright = set(self.live.brightness() or [])
        sets: dict[str, list[int]] = {}
        for group, columns in self._groups:
            sets.update({self.live.resolve(key): columns for key in self._values(group, self._any_point())})
        return sorted({column for name in bright for column in sets[name]}) if bright <= sets.keys() else []

    def _any_point(self) -> Tensor:
        return torch.from_numpy(self._initial())

    def _check_keys(self, x: Tensor) -> None:
        """Check that each binding finds its parameter, and no two the same one."""
        owners: dict[str, str] = {}
        for group, _ in self._groups:
            for key, value in self._values(group, x).items():
                name, label = self.live.resolve(key), group[0][0].label
                if isinstance(group[0][0], Custom) and not bool(torch.isfinite(value).all()):
                    raise SceneError(
                        f"{label!r} sets {shown(key)} to values that are not finite, at its start: {value.tolist()}"
                    )
                if name in owners:
                    raise SceneError(f"two bindings set {name!r}: {owners[name]!r} and {label!r}")
                owners[name] = label

    def _values(self, group: list[tuple[Binding, slice]], x: Tensor) -> dict[str, Tensor]:
        binding, columns = group[0]
        if isinstance(binding, ValueBinding):
            return binding.all_values(x[columns], lambda: self.own(binding))
        assert isinstance(binding, Motion)
        return self.live.moved(binding.target, self._motion(group, x), local=binding.local)

    def _motion(self, group: list[tuple[Any, slice]], x: Tensor) -> Tensor:
        target, local = group[0][0].target, group[0][0].local
        center = torch.zeros(3, dtype=x.dtype) if local else self._centers[target]
        motion = torch.eye(4, dtype=x.dtype)
        for binding, columns in sorted(group, key=lambda item: item[0].order):
            motion = binding.matrix(x[columns], center) @ motion
        return motion


def _same(held: Tensor | None, part: Tensor) -> bool:
    return held is not None and torch.equal(held, part)


def _grouped(layout: Layout) -> list[tuple[list[tuple[Binding, slice]], list[int]]]:
    """Group the motions of one object; with the columns of each group.

    Every other binding is a group of its own.
    """
    groups: dict[object, list[tuple[Binding, slice]]] = {}
    for number, (binding, columns) in enumerate(zip(layout.bindings, layout.slices, strict=True)):
        group: object = (binding.target, binding.local) if isinstance(binding, Motion) else number
        groups.setdefault(group, []).append((binding, columns))
    return [
        (group, [index for _, columns in group for index in range(columns.start, columns.stop)])
        for group in groups.values()
    ]
