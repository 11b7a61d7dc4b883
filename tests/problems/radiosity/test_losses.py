"""Losses of two sides: their values and gradients."""

import pytest
import torch

from invopt.problems.radiosity import SymmetricL2

from .trainings import small

pytestmark = pytest.mark.render


def test_the_right_side_keeps_a_graph_only_where_it_is_differentiated():
    problem = small()
    with problem.open() as live:
        kept = [
            live.sides(torch.from_numpy(problem.x0), seed=1, step=0, differentiate_right=wanted).right.requires_grad
            for wanted in (False, True)
        ]
    assert kept == [False, True]


@pytest.mark.parametrize("loss", ["l2", "relative-l2", "symmetric-l2", "rmse", "huber", "mae"])
def test_gradients_of_every_loss_are_right(loss):
    """The full gradient is the derivative of the reported loss, by finite differences."""
    problem = small(loss=loss, sampling="nee")
    with problem.open() as live:
        x = torch.from_numpy(problem.x0)

        def at(point):
            sides = live.sides(point, seed=7, step=0, differentiate_right=True)
            return sides, problem.loss.reduce(problem.loss.values(sides.left, sides.right.mean(1)))

        sides, fun = at(x)
        jac = sides.gradient(fun).double()
        # The norms of relative losses are constants to the derivative, so they are held as they were.
        own, theirs = (side.detach().square().mean(1).sqrt() for side in (sides.left, sides.right.mean(1)))
        norms = {"relative-l2": own**2 + 1e-2, "symmetric-l2": own * (own + theirs) / 2 + 1e-2}

        def value(point):
            moved, fun = at(point)
            if loss in norms:
                fun = ((moved.left - moved.right.mean(1)).square().mean(1) / norms[loss]).mean()
            return float(fun.detach())

        step = 2e-3
        along = step * jac / jac.norm()
        assert (value(x + along) - value(x - along)) / (2 * step) == pytest.approx(float(jac.norm()), rel=0.02)


def test_sides_without_emission_differ_as_those_with_it():
    """A relative loss then divides the residual of a lamp by its reflected light."""
    found = []
    for sides in ("outgoing", "reflected"):
        problem = small("cornell-box", n_points=2048, sides=sides)
        with problem.open() as live:
            found.append(live.sides(torch.from_numpy(problem.x0), seed=3, step=0, differentiate_right=False))
    whole, part = found
    torch.testing.assert_close(part.left - part.right.mean(1), whole.left - whole.right.mean(1), rtol=0, atol=1e-5)
    emitted = (whole.left - part.left).detach()
    shining = emitted.amax(1) > 1
    assert 0 < shining.sum() < 100
    assert not emitted[~shining].any()
    weights = [
        sides.loss.values(sides.left, sides.right.mean(1)) / (sides.left - sides.right.mean(1)).square().mean(1)
        for sides in found
    ]
    torch.testing.assert_close(weights[0][~shining], weights[1][~shining])
    # The lamp's radiance is 18, 14 and 7; the field is young and dark.
    assert float((weights[1] / weights[0])[shining].min().detach()) > 1000


def test_symmetric_loss_pulls_alike_both_ways():
    """The derivative is 4 tanh(t / 2) for a field wrong by the factor exp(t)."""
    t = torch.linspace(-6, 6, 25).unsqueeze(1)
    right = torch.tensor([0.3]).expand_as(t)
    y = (t + right.log()).requires_grad_()
    loss = SymmetricL2(epsilon=1e-12).cross(y.exp(), right, right)
    (pull,) = torch.autograd.grad(loss.sum(), y)
    torch.testing.assert_close(pull, 4 * torch.tanh(t / 2))
    loss = SymmetricL2(share=0.25, epsilon=1e-12).cross(y.exp(), right, right)
    (pull,) = torch.autograd.grad(loss.sum(), y)
    torch.testing.assert_close(pull, 2 * (1 - (-t).exp()) / (0.75 + 0.25 * (-t).exp()))
