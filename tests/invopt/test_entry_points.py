"""Parts that other packages register: their names, clashes, and entry points that cannot be used."""

import json
import sys

import pytest

import invopt
from invopt.core.registry import find

from ..installed_packages import install

PARTS = """
    import numpy as np
    from attrs import frozen
    from invopt.plugin import Objective, Optimizer, Problem

    class Bowl(Objective):
        def fun(self, x, *, seed, spp=None):
            return x.square().sum(1)

    @frozen(kw_only=True, eq=False)
    class Valley(Problem):
        '''A valley from elsewhere.'''
        x0 = property(lambda self: np.ones(2))
        def open(self):
            return Bowl()

    class Half(Problem):
        x0 = property(lambda self: np.ones(2))

    @frozen(kw_only=True)
    class Still(Optimizer):
        '''A method that stays where it is.'''
        def init(self, x0):
            return None
        def step(self, x, estimate, state, oracle):
            return x, state
"""


def test_a_name_that_stands_for_an_instance_has_no_class():
    with pytest.raises(invopt.UnknownNameError, match=r"no class of its own: write Scipy\('nelder-mead'\)"):
        find("optimizers", "nelder-mead")
    with pytest.raises(invopt.UnknownNameError, match="did you mean 'nelder-mead'"):
        find("optimizers", "nelder-meat")


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    """Name of a package of this test's own; a call installs it with entry points that name its module ``{}``."""
    name = "".join(filter(str.isalnum, request.node.name))
    monkeypatch.syspath_prepend(str(tmp_path))

    def call(entries):
        install(tmp_path, name, PARTS, entries.format(name))
        return name

    yield call
    sys.modules.pop(name, None)


@pytest.mark.parametrize("asked", ["deep-valley", "Deep_Valley", "deep_valley"])
def test_case_and_underscores_do_not_matter(package, asked):
    # Every test registers a name of its own: names that were found are remembered.
    own = f"{asked}-{len(asked)}{asked[4]}"
    package(f"[invopt.problems]\n{own.title()} = {{}}:Valley\n")
    assert find("problems", own).__name__ == "Valley"
    assert abs(invopt.minimize(own, rng=0, maxfev=100).x).max() < 0.1


@pytest.mark.parametrize(
    ("own", "target", "said"),
    [
        ("gone", "{0}:Gone", r"cannot be loaded: AttributeError: module '{0}' has no attribute 'Gone'"),
        ("nowhere", "no_such_module:X", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        ("no-class", "{0}:np", "{0}:np is not a subclass of invopt.Problem: <module 'numpy'"),
        ("other-wing", "{0}:Still", "{0}:Still is not a subclass of invopt.Problem: <class '{0}.Still'>"),
        ("half", "{0}:Half", r"{0}:Half has abstract methods: define open"),
        ("a+b", "{0}:Valley", "a name has letters, digits, hyphens and points only"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_an_error_when_it_is_asked_for(package, own, target, said):
    name = package(f"[invopt.problems]\n{own} = {target}\n")
    with pytest.raises(invopt.EntryPointError) as caught:
        invopt.minimize(own)
    assert str(caught.value).startswith(f"entry point '{own}' of group 'invopt.problems' in {name}")
    assert said.format(name) in str(caught.value)
    assert isinstance(caught.value, ImportError)


def test_two_packages_with_one_name(package, tmp_path):
    first = package("[invopt.problems]\ntwice = {}:Valley\n")
    install(tmp_path, "zweitens", PARTS, "[invopt.problems]\nTwice = zweitens:Valley\n")
    said = rf"entry point 'twice' .* in {first} and zweitens: the name is registered 2 times; pass an instance"
    with pytest.raises(invopt.EntryPointError, match=said):
        invopt.minimize("twice")


OWN = "the name is invopt's own; choose another"


@pytest.mark.parametrize("own", ["auto", "paper"])
def test_no_estimator_can_have_the_name_of_a_choice_of_minimize(package, own):
    name = package(f"[invopt.estimators]\n{own.title()} = {{}}:Still\n")
    said = f"entry point '{own}' of group 'invopt.estimators' in {name}: {OWN}"
    with pytest.raises(invopt.EntryPointError, match=said):
        find("estimators", own)


CLASHES = """
    [invopt.problems]
    quad = intruder:Valley
    gone = intruder:Gone
    deep-valley = intruder:Valley
    [invopt.optimizers]
    nelder-mead = intruder:Still
    newton = intruder:Still
    still = intruder:Still
    [invopt.estimators]
    auto = intruder:Still
    Paper = intruder:Still
    [invopt.presets]
    cma = intruder:Still
    mine = intruder:Still
"""
SHOW = """
import json, warnings
import invopt
from invopt.bench.presets import presets
from invopt.cli import main
from invopt.core.registry import find, resolve
from rich.console import Console

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    shown = [type(resolve("optimizers", name, "method")).__module__ for name in ("nelder-mead", "newton")]
    print(json.dumps([find("problems", "quad").__module__, *shown]))
    presets()
    try:
        main()
    except SystemExit:
        pass
print(*[warning.message for warning in caught], sep="\\n")
"""


def test_what_invopt_has_keeps_its_name_and_the_rest_is_listed(tmp_path, monkeypatch, program):
    install(tmp_path, "intruder", PARTS, CLASHES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    done = program(SHOW, "list", check=True)
    kept, *lines = done.stdout.splitlines()
    assert json.loads(kept) == [
        "invopt.problems.quadratic",
        "invopt.optimizers.scipy_method",
        "invopt.optimizers.newton",
    ]
    table = [line.split("│")[2].strip() for line in lines if line.startswith("│")]
    assert {"quad", "deep-valley", "newton", "still"} <= set(table)
    assert "gone" not in table
    wrong = [
        ("cma", "presets", f": {OWN}"),
        ("mine", "presets", ": intruder:Still is not an invopt.bench.Preset: <class 'intruder.Still'>"),
        ("auto", "estimators", f": {OWN}"),
        ("paper", "estimators", f": {OWN}"),
        ("gone", "problems", " cannot be loaded: AttributeError: module 'intruder' has no attribute 'Gone'"),
        ("quad", "problems", f": {OWN}"),
        ("nelder-mead", "optimizers", f": {OWN}"),
        ("newton", "optimizers", f": {OWN}"),
    ]
    said = [
        f"entry point '{own}' of group 'invopt.{wing}' in intruder{why}; it is left out" for own, wing, why in wrong
    ]
    assert sorted(line for line in lines if line.startswith("entry point")) == sorted(said)
