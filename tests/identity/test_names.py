"""Names stored in files stay valid when a module moves."""

import importlib

import pytest

import invopt
from invopt import plugin
from invopt.core.identity.names import _NAMES, MODULES, reference
from invopt.network.chain_rule import ChainedState
from invopt.run.arguments.scipy_habits import WithArguments


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (invopt.Capability, "invopt._objective:Capability"),
        (invopt.Estimate, "invopt._estimator:Estimate"),
        (invopt.Linear, "invopt._schedules:Linear"),
        (invopt.Optimizer, "invopt._optimizer:Optimizer"),
        (invopt.Problem, "invopt._problem:Problem"),
        (invopt.SeedPolicy, "invopt._seeds:SeedPolicy"),
        (invopt.Status, "invopt._result:Status"),
        (plugin.Chain, "invopt._chain:Chain"),
        (plugin.ResidualLoss, "invopt._sides:ResidualLoss"),
        (ChainedState, "invopt._chained:ChainedState"),
        (WithArguments, "invopt._scipy_habits:WithArguments"),
        (invopt.problems.Mug, "invopt.problems.mug:Mug"),
        (len, "builtins:len"),
    ],
)
def test_files_know_what_has_moved_by_its_old_name(value, name):
    """Journals and checkpoints of version 0.1 use these names and can be resumed."""
    assert reference(value) == name


def test_every_entry_is_of_a_module_that_exists():
    for module in MODULES:
        __import__(module)
    for name in _NAMES:
        module, _, part = name.partition(":")
        assert hasattr(__import__(module, fromlist=[part]), part)


@pytest.mark.parametrize(
    "old",
    [
        "estimators.kernels:gradient",
        "estimators.sampled:SampledEstimator",
        "problems.greybox_problem:GreyBoxProblem",
        "problems.mug_network:MugNetwork",
        "problems.radiosity.camera_path:path_between",
        "problems.radiosity.metrics:compare",
        "problems.radiosity.reference:reference",
        "problems.task:Task",
    ],
)
def test_public_modules_that_moved_are_imported_by_their_old_names_too(old):
    module, _, name = old.partition(":")
    found = importlib.import_module(f"invopt.{module}")
    item = getattr(found, name)
    home = importlib.import_module(item.__module__)
    # One object under both names, which keeps its own specification.
    assert getattr(home, name) is item
    assert home.__spec__.name == item.__module__ == home.__name__


def test_a_module_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match=r"invopt\.problems\.tusk"):
        importlib.import_module("invopt.problems.tusk")
