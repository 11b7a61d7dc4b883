"""Names stored in files stay valid when a module moves."""

import pytest

import invopt
from invopt import plugin
from invopt.core.identity.names import _MODULES, _NAMES, reference
from invopt.network.chain_rule import ChainedState
from invopt.run.arguments.scipy_habits import WithArguments


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (invopt.AdaptiveSigma, "invopt._width:AdaptiveWidth"),
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
    for module in _MODULES:
        __import__(module)
    for name in _NAMES:
        module, _, part = name.partition(":")
        assert hasattr(__import__(module, fromlist=[part]), part)
