"""Constants that steer estimators and methods: each has its source beside it, and what is measured can be again."""

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from invopt.estimators import sparse_gauss_newton
from invopt.estimators.least_squares import joint_perturbations

ROOT = Path(__file__).parents[1]
# Names that stand for numbers.
KNOWN = ("math", "_EPS")
PARTS = ("estimators", "optimizers", "invopt/core/quadratic")
MEASURED = "tests/benchmarks/constants.py"


@pytest.fixture(scope="module")
def constants():
    """The command, which lies outside of the package."""
    folder = ROOT / "tests" / "benchmarks"
    spec = importlib.util.spec_from_file_location("constants", folder / "constants.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        spec.loader.exec_module(module)
    yield module
    sys.modules.pop("constant_tasks")


def numbers(node):
    """Whether an expression is made of numbers, those of `math` and machine precision included."""
    kinds = ast.Constant | ast.UnaryOp | ast.BinOp | ast.Tuple | ast.unaryop | ast.operator | ast.expr_context
    kinds |= ast.Name | ast.Attribute | ast.Call
    return all(
        isinstance(each, kinds)
        and (not isinstance(each, ast.Constant) or isinstance(each.value, int | float))
        and (not isinstance(each, ast.Name) or each.id in KNOWN)
        for each in ast.walk(node)
    )


def valued(node):
    """Value of an expression; its text if names stand in it."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def assigned():
    """Path, names, lines before and value of each constant of a module that is made of numbers."""
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*.py")):
            lines = path.read_text().splitlines()
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.Assign) and numbers(node.value):
                    names = re.findall(r"\w+", ast.unparse(node.targets[0]))
                    yield path, names, lines[: node.lineno - 1], valued(node.value)


def comment(before):
    """Comment right above a line."""
    i = len(before)
    while i > 0 and before[i - 1].startswith("#"):
        i -= 1
    return " ".join(line.removeprefix("#").strip() for line in before[i:])


def test_every_number_has_its_source_beside_it():
    bare = [f"{path.name}: {', '.join(names)}" for path, names, before, _ in assigned() if not comment(before)]
    assert bare == []


def test_a_name_has_one_value():
    values = {}
    for _, names, _, value in assigned():
        values.update({} if isinstance(value, tuple) else {names[0]: values.get(names[0], set()) | {value}})
    assert {name: found for name, found in values.items() if len(found) > 1} == {}


def test_what_is_said_to_be_measured_has_tasks_to_measure_it_on(constants):
    count = 0
    for path, names, before, _ in assigned():
        if MEASURED in comment(before):
            place = ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("invopt.")
            for name in names:
                assert set(constants.tasks_of(f"{place}:{name}")) <= set(constants.TASKS)
                assert constants.tasks_of(f"{place}:{name}"), name
                assert constants.constant(f"{place}:{name}")[1] == name
                count += 1
    assert count > 12


def test_tasks_are_of_constants_that_exist(constants):
    from constant_tasks import FACTORS_OF, TASKS_OF

    for name in {*TASKS_OF, *FACTORS_OF}:
        module = importlib.import_module(f"invopt.{name.partition(':')[0]}")
        assert ":" not in name or hasattr(module, name.partition(":")[2])


def test_a_constant_is_set_wherever_it_was_imported_and_set_back(constants):
    before = joint_perturbations.HELD_OUT
    with constants.set_to("estimators.least_squares.joint_perturbations:HELD_OUT", 7):
        assert joint_perturbations.HELD_OUT == sparse_gauss_newton.HELD_OUT == 7
    assert joint_perturbations.HELD_OUT == sparse_gauss_newton.HELD_OUT == before


def test_a_field_of_a_class_attribute_is_set_and_set_back(constants):
    name = "estimators.smoothing.sampled:SampledEstimator.default_schedule.factor"
    before = constants.constant(name)[2]
    with constants.set_to(name, 0.5):
        assert constants.constant(name)[2] == 0.5
    assert constants.constant(name)[2] == before


def test_the_table_shows_what_a_constant_does(constants, capsys):
    constants.table("optimizers.gradient_descent:_FIRST_STEP", [0.1, 0.2], ["descent"], [1000, 1001], 0.01)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    counts = [float(row[5]) for row in rows if row[0] == "descent"]
    # Twice the rate takes about half of the steps on a quadratic.
    assert 0.3 * counts[0] < counts[1] < 0.7 * counts[0]
    assert [row[:5] for row in rows if row[0] == "all"] == [["all", each, "2", "of", "2"] for each in ("0.1", "0.2")]


def test_runs_that_fail_count_as_infinite(constants):
    row = constants.measure("optimizers.gradient_descent:_FIRST_STEP", 1e-9, constants.TASKS["descent"], [1000], 0.01)
    assert row.counts == [float("inf")]
    assert "0 of 1     inf" in constants.line("descent", 1e-9, row)
