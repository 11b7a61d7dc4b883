"""scipy's methods, options and tolerances by their scipy names."""

import numpy as np
import pytest
import scipy.optimize
import torch
from scipy.optimize import LinearConstraint, rosen, rosen_der

import invopt
from invopt import IncompatibleError, UnknownNameError, minimize, optimizers
from invopt.run.arguments.options import Options
from invopt.run.prepare import prepare

START = [-1.2, 1.0]


def never(x, *args):
    pytest.fail("evaluated before the arguments were checked")


# Methods by scipy's names.


@pytest.mark.parametrize(
    "name",
    [
        "Nelder-Mead",
        "nelder_mead",
        "POWELL",
        "L-BFGS-B",
        "TNC",
        "COBYLA",
        "cobyqa",
        "SLSQP",
        "trust-constr",
        "dogleg",
        "TRUST_EXACT",
        "trust-krylov",
    ],
)
def test_scipys_methods_by_name(name):
    method = prepare(never, Options(x0=START, method=name)).method
    assert method == optimizers.Scipy(name.lower().replace("_", "-"))


@pytest.mark.parametrize(("name", "ours"), [("BFGS", "BFGS"), ("CG", "FletcherReevesCG"), ("Newton-CG", "NewtonCG")])
def test_names_of_ours_stay_ours(name, ours):
    assert type(prepare(never, Options(x0=START, method=name)).method).__name__ == ours


def test_a_misspelt_method_of_scipys():
    with pytest.raises(UnknownNameError, match="unknown optimizer 'nelder-meat'; did you mean 'nelder-mead'"):
        minimize(never, START, method="nelder-meat")


def test_nelder_mead_is_scipys_own():
    theirs = scipy.optimize.minimize(rosen, START, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-6})
    ours = minimize(rosen, START, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-6})
    assert ours.success
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-12)
    assert abs(ours.history.nfev[-1] - theirs.nfev) <= 1


def test_lbfgsb_with_a_gradient_is_scipys_own():
    theirs = scipy.optimize.minimize(rosen, START, jac=rosen_der, method="L-BFGS-B")
    ours = minimize(rosen, START, jac=rosen_der, method="L-BFGS-B")
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-10)
    assert abs(ours.history.nfev[-1] - 2 * theirs.nfev) <= 4


# Options and tolerances.


def settings(**arguments):
    run = prepare(never, Options(x0=START, progress=arguments.pop("progress", False), **arguments))
    return run, (run.maxiter, run.maxfev, run.tolerances.gtol, run.tolerances.xtol, run.tolerances.ftol)


def test_options_are_the_arguments_of_a_run():
    options = {"maxiter": 7, "maxfev": 90.0, "gtol": 1e-3, "xtol": 1e-4, "ftol": 1e-5}
    assert settings(options=options)[1] == settings(**options)[1] == (7, 90, 1e-3, 1e-4, 1e-5)
    assert settings(options={"maxfun": 90})[0].maxfev == 90
    assert settings(options={"disp": True}, progress=None)[0].progress is True
    assert settings(options={"disp": 0}, progress=None)[0].progress is False


def test_tol_stands_for_the_tolerances_that_are_not_given():
    assert settings()[1][2:] == (1e-6, 1e-8, 0.0)
    assert settings(tol=1e-3)[1][2:] == (1e-3, 1e-3, 0.0)
    assert settings(tol=1e-3, gtol=1e-6)[1][2:] == (1e-6, 1e-3, 0.0)
    assert settings(tol=1e-3, options={"xtol": 1e-5})[1][2:] == (1e-3, 1e-5, 0.0)


def test_a_method_of_scipys_has_options_of_its_own():
    own = {"xatol": 1e-10, "adaptive": True}
    run, limits = settings(method="nelder-mead", options={"maxfev": 50, "disp": False, **own}, progress=None)
    assert run.progress is False
    assert run.method == optimizers.Scipy("nelder-mead", options=own)
    # The run must not end before what was asked of the method is reached, nor sooner for being loose.
    assert limits == (np.inf, 50, 1e-10, 1e-10, 0.0)
    run, limits = settings(method="l-bfgs-b", options={"gtol": 1e-2, "ftol": 1e-3, "maxiter": 4})
    assert run.method.options == {"gtol": 1e-2, "ftol": 1e-3, "maxiter": 4}
    assert limits == (np.inf, np.inf, 1e-6, 1e-8, 0.0)


def test_tol_reaches_a_method_of_scipys():
    # Where a loose one ends is no minimum, which the last values may show.
    loose, close = (minimize(rosen, START, method="Nelder-Mead", tol=tol, rng=0) for tol in (1e-1, 1e-12))
    assert close.status is invopt.Status.FINISHED
    assert loose.nfev < 0.5 * close.nfev
    np.testing.assert_allclose(close.x, 1.0, atol=1e-9)
    assert settings(method=optimizers.Scipy("powell", tol=1e-9), tol=1e-3)[0].method.tol == 1e-9


def test_iterations_of_a_method_of_scipys_are_its_own():
    theirs = scipy.optimize.minimize(rosen, START, method="Powell", options={"maxiter": 30})
    ours = minimize(rosen, START, method="Powell", options={"maxiter": 30})
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(options={"eps": 1e-3}), UnknownNameError, r"'eps', .* FiniteDifference\(abs_step=\.\.\.\)"),
        (dict(options={"maxcor": 5}), UnknownNameError, r"optimizers\.LBFGS\(maxcor=\.\.\.\)"),
        (dict(options={"maxls": 5}), UnknownNameError, r"ArmijoWolfe\(maxls=\.\.\.\)"),
        (dict(options={"rng": 0}), UnknownNameError, r"an argument of its own, rng=\.\.\."),
        (dict(options={"max_iter": 0}), UnknownNameError, "did you mean 'maxiter'"),
        (dict(options={"adaptive": True}), UnknownNameError, "method='nelder-mead'"),
        (dict(options={"maxcor": 5}, method="nelder-mead"), UnknownNameError, "does not take these 'options'"),
        (dict(options={"maxiter": 1.5}), TypeError, "'maxiter' must be an integer"),
        (dict(options={"maxiter": 5}, maxiter=5), TypeError, "'maxiter' is given twice"),
        (dict(options={"maxfev": 5, "maxfun": 5}), TypeError, "'maxfev' is given twice"),
        (dict(options={"gtol": 1e-3}, gtol=1e-3), TypeError, "'gtol' is given twice"),
        (
            dict(method=optimizers.Scipy("powell", options={"xtol": 1e-3}), options={"xtol": 1e-3}),
            TypeError,
            "'xtol' is given twice",
        ),
        (dict(tol=-1.0), ValueError, "'tol' must be >= 0"),
        (dict(tol="tight"), TypeError, "'tol' must be a real number"),
        (dict(tol=np.nan), ValueError, "'tol' must be finite"),
        (dict(constraints=[{"type": "equal", "fun": np.sum}]), TypeError, "'constraints' must be LinearConstraint or"),
        (dict(constraints={"type": "eq"}), TypeError, "'constraints' must be LinearConstraint or"),
        (dict(constraints=LinearConstraint([[1, 1, 1]], 0, 1)), ValueError, "'constraints' must be of n = 2 columns"),
        (dict(constraints=LinearConstraint([[1, 1]], 1, 0)), ValueError, "'constraints' must be such that lb <= ub"),
        (dict(constraints=LinearConstraint([[1, 1]], 0, 1), method="powell"), IncompatibleError, "does not support"),
        (dict(hessp=rosen), IncompatibleError, "'hessp' is not supported: give the whole Hessian as 'hess'"),
        (dict(progress=torch.tensor(1.0)), TypeError, "'progress' must be a bool"),
        (dict(progress=torch.tensor([1.0, 2.0])), TypeError, "'progress' must be a bool"),
        (dict(progress="yes"), TypeError, "'progress' must be a bool"),
        (dict(progress=1), TypeError, "'progress' must be a bool"),
    ],
)
def test_an_error_says_the_way(arguments, error, message):
    with pytest.raises(error, match=message):
        minimize(never, START, **arguments)


def test_no_constraints_are_fine():
    for none in ((), [], None):
        assert minimize(rosen, START, constraints=none, rng=0, maxfev=20).nfev == 20
