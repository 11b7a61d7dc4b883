"""Names of functions and classes in journals and snapshots.

They stay when a module moves.
"""

from __future__ import annotations

from typing import Any

__all__ = ["MODULES", "reference"]

# Modules of ours by their names in files written before they moved. A module that moves again keeps its entry, under
# its new name; a new module needs none.
MODULES = {
    "invopt.adapters.session": "invopt._session",
    "invopt.core.estimator": "invopt._estimator",
    "invopt.core.evaluator": "invopt._evaluate",
    "invopt.core.objective": "invopt._objective",
    "invopt.core.optimizer": "invopt._optimizer",
    "invopt.core.outcome": "invopt._outcome",
    "invopt.core.problem": "invopt._problem",
    "invopt.core.residual_equation": "invopt._sides",
    "invopt.core.result": "invopt._result",
    "invopt.core.schedules": "invopt._schedules",
    "invopt.core.seeds": "invopt._seeds",
    "invopt.network.chain_rule": "invopt._chained",
    "invopt.run.arguments.scipy_habits": "invopt._scipy_habits",
    "invopt.estimators.equation.dual_buffer": "invopt.estimators.dual_buffer",
    "invopt.estimators.equation.full_gradient": "invopt.estimators.full_gradient",
    "invopt.estimators.equation.residual_estimator": "invopt.estimators.residual",
    "invopt.estimators.equation.semi_gradient": "invopt.estimators.semi_gradient",
    "invopt.estimators.equation.weighted_dual_buffer": "invopt.estimators.weighted_dual_buffer",
    "invopt.estimators.least_squares.sparse_jacobian": "invopt.estimators.sparse_jacobian",
    "invopt.estimators.network.gauss_newton": "invopt.estimators.gauss_newton",
    "invopt.estimators.network.newton_target": "invopt.estimators.newton_target",
    "invopt.estimators.smoothing.kernels": "invopt.estimators.kernels",
    "invopt.estimators.smoothing.monte_carlo": "invopt.estimators.monte_carlo",
    "invopt.estimators.smoothing.sampled": "invopt.estimators.sampled",
    "invopt.estimators.smoothing.samplers": "invopt.estimators.samplers",
    "invopt.core.quadratic.ball": "invopt.optimizers.trust_region",
    "invopt.core.quadratic.conjugate_gradients": "invopt.optimizers.trust_region",
    "invopt.optimizers.descent.box": "invopt.optimizers.trust_region",
    "invopt.optimizers.descent.noise": "invopt.optimizers.noise",
    "invopt.optimizers.descent.quasi_newton": "invopt.optimizers.quasi_newton",
    "invopt.optimizers.descent.steps": "invopt.optimizers.steps",
    "invopt.optimizers.external.external_method": "invopt.optimizers.inverted",
    "invopt.optimizers.external.search": "invopt.optimizers.search",
    "invopt.problems.functions.derivatives": "invopt.problems.function_derivatives",
    "invopt.problems.functions.values": "invopt.problems.function_values",
    "invopt.problems.network.flat_network": "invopt.problems.network",
    "invopt.problems.network.network_chain": "invopt.problems.network",
    "invopt.problems.network.greybox_objective": "invopt.problems.greybox_objective",
    "invopt.problems.network.greybox_problem": "invopt.problems.greybox_problem",
    "invopt.problems.network.dataset": "invopt.problems.items",
    "invopt.problems.network.mug_network": "invopt.problems.mug_network",
    "invopt.problems.scenes.picture_cache": "invopt.problems.picture_cache",
    "invopt.problems.radiosity.fields.field": "invopt.problems.radiosity.field",
    "invopt.problems.radiosity.fields.hash_grid": "invopt.problems.radiosity.hash_grid",
    "invopt.problems.radiosity.fields.query": "invopt.problems.radiosity.query",
    "invopt.problems.radiosity.fields.saved": "invopt.problems.radiosity.saved",
    "invopt.problems.radiosity.pictures.denoising": "invopt.problems.radiosity.denoising",
    "invopt.problems.radiosity.pictures.metrics": "invopt.problems.radiosity.metrics",
    "invopt.problems.radiosity.pictures.field_pictures": "invopt.problems.radiosity.pictures",
    "invopt.problems.radiosity.pictures.reference": "invopt.problems.radiosity.reference",
    "invopt.problems.radiosity.radiosity_description": "invopt.problems.radiosity.description",
    "invopt.problems.radiosity.pictures.camera_path": "invopt.problems.radiosity.camera_path",
    "invopt.problems.radiosity.transport.directions": "invopt.problems.radiosity.directions",
    "invopt.problems.radiosity.transport.guiding": "invopt.problems.radiosity.guiding",
    "invopt.problems.radiosity.transport.mixture": "invopt.problems.radiosity.mixture",
    "invopt.problems.radiosity.transport.points": "invopt.problems.radiosity.points",
    "invopt.problems.radiosity.transport.specular": "invopt.problems.radiosity.specular",
    "invopt.problems.radiosity.transport.transport": "invopt.problems.radiosity.transport",
    "invopt.problems.radiosity.transport.cameras": "invopt.problems.radiosity.views",
    "invopt.problems.scenes.arguments": "invopt.problems.scene_arguments",
    "invopt.problems.scenes.objective": "invopt.problems.scene_objective",
    "invopt.problems.tasks.boxes": "invopt.problems.boxes",
    "invopt.problems.tasks.task": "invopt.problems.task",
}
# The same of single classes that have moved from one module to another, or were renamed.
_NAMES = {
    "invopt.core.estimator:Point": "invopt._stopping:Point",
    "invopt.core.answers.asking:Adjoint": "invopt._objective:Adjoint",
    "invopt.core.parameters.grid:Grid": "invopt._problem:Grid",
    "invopt.core.problem:Chain": "invopt._chain:Chain",
    "invopt.core.problem:Link": "invopt._chain:Link",
    "invopt.rendering.bindings.pose:CameraPose": "invopt.rendering.bindings.motion:CameraPose",
    "invopt.rendering.bindings.pose:Pose": "invopt.rendering.bindings.motion:Pose",
    "invopt.rendering.choice:Backend": "invopt.rendering.backend:Backend",
}


def reference(value: Any) -> str:
    """Return module and name of a function or class, as files have them."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    found = f"{module}:{name}"
    return _NAMES.get(found) or f"{MODULES.get(str(module), module)}:{name}"
