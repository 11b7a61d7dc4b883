"""Defaults named in docstrings are those of the code."""

import ast
import enum
import importlib
import inspect
import operator
import pkgutil
import re
from pathlib import Path

import attrs
import numpy as np
import pytest

import invopt

MODULES = sorted(found.name for found in pkgutil.walk_packages(invopt.__path__, "invopt."))
OPERATORS = {ast.Div: operator.truediv, ast.Pow: operator.pow, ast.USub: operator.neg}
MISSING = object()
ROOT = Path(__file__).parents[1]
MOST_CHARACTERS = 80


def documented():
    """Every class and public function of the package that has a Parameters section."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for item in vars(module).values():
            if getattr(item, "__module__", None) != name or not (inspect.isclass(item) or inspect.isfunction(item)):
                continue
            public = inspect.isclass(item) or item.__name__ in getattr(module, "__all__", ())
            if public and parameters(item):
                found[f"{name}.{item.__qualname__}"] = item
    return found


def parameters(item):
    """Names in the Parameters section of an item's docstring, with type and default."""
    text = inspect.cleandoc(vars(item).get("__doc__") or "" if inspect.isclass(item) else item.__doc__ or "")
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^[A-Z][\w ]*\n-+\n|\Z)", text, re.DOTALL | re.MULTILINE)
    lines = re.findall(r"^([\w*, ]+?) : (.+)$", section.group(1), re.MULTILINE) if section else []
    return [(name.strip(), said) for names, said in lines for name in names.split(",")]


def converters(item):
    """Converters of the fields of a class, by name."""
    if not (inspect.isclass(item) and attrs.has(item)):
        return {}
    return {field.alias: field.converter for field in attrs.fields(item) if callable(field.converter)}


def actual(item):
    """Default of each parameter by name; `MISSING` if it has none."""
    if inspect.isclass(item) and attrs.has(item):
        return {field.alias: default_of(field) for field in attrs.fields(item) if field.init}
    signature = inspect.signature(item.__init__ if inspect.isclass(item) else item)
    return {name: MISSING if p.default is p.empty else p.default for name, p in signature.parameters.items()}


def default_of(field):
    if field.default is attrs.NOTHING:
        return MISSING
    if isinstance(field.default, attrs.Factory):
        return MISSING if field.default.takes_self else field.default.factory()
    return field.default


def value_of(text, item):
    """Value of the text of a default: a literal, arithmetic, or a call without arguments."""
    known = {"nan": np.nan, "inf": np.inf} | vars(inspect.getmodule(item)) | vars(invopt) | vars(invopt.optimizers)

    def evaluate(node):
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](evaluate(node.left), evaluate(node.right))
        if isinstance(node, ast.UnaryOp):
            return OPERATORS[type(node.op)](evaluate(node.operand))
        if isinstance(node, ast.Call):
            return known[node.func.id](*map(evaluate, node.args))
        return known[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)

    return evaluate(ast.parse(text, mode="eval").body)


def agree(said, default):
    if isinstance(default, enum.Enum):
        return said in {default.value, default.name, default}
    if isinstance(said, bool) or isinstance(default, bool):
        return said is default
    if isinstance(said, tuple | list | np.ndarray) and len(said):
        return np.array_equal(np.asarray(said, dtype=float), np.asarray(default, dtype=float))
    return bool(said == default) or (said != said and default != default)


def complaints(item):
    """Differences between documented and actual defaults of an item."""
    defaults = actual(item)
    for name, said in parameters(item):
        if name.lstrip("*") not in defaults:
            yield f"{name} is not a parameter"
            continue
        default, text = defaults[name.lstrip("*")], re.search(r", default (.+)$", said)
        convert = converters(item).get(name, lambda value: value)
        if text is None:
            if default is not MISSING and default is not None and not said.endswith("optional"):
                yield f"{name} has the default {default!r}, and the docstring does not say so"
            elif said.endswith("optional") and default is MISSING:
                yield f"{name} is called optional, and has no default"
        elif default is MISSING or not agree(convert(value_of(text.group(1), item)), default):
            yield f"{name} is said to have the default {text.group(1)}, and has {default!r}"


ITEMS = documented()


def test_what_there_is_to_check():
    assert len(ITEMS) > 100
    said = sum(", default " in said for item in ITEMS.values() for _, said in parameters(item))
    assert said > 150


@pytest.mark.parametrize("name", ITEMS)
def test_defaults_are_as_documented(name):
    assert not list(complaints(ITEMS[name]))


@attrs.frozen(kw_only=True)
class Wrong:
    """A class of which only `e` is documented as it is.

    Parameters
    ----------
    a : int, default 3
    b : float, default 1/3
    c : str
    d, e : int, optional
    f : int
    """

    a: int = 4
    b: float = 0.3
    c: str = "x"
    d: int
    e: None = None


def test_what_is_wrong_is_found():
    assert [complaint.split()[0] for complaint in complaints(Wrong)] == ["a", "b", "c", "d", "f"]


def long_first_lines(path):
    """First lines of the docstrings of a file that are too long, with the name of what they document."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = (ast.get_docstring(node) or "").split("\n")[0]
            if len(first) > MOST_CHARACTERS:
                yield f"{path.name}: {getattr(node, 'name', 'module')}: {first}"


@pytest.mark.parametrize("top", ["invopt", "problems", "estimators", "optimizers"])
def test_first_lines_are_short(top):
    paths = list((ROOT / top).rglob("*.py"))
    assert paths
    assert not [found for path in paths for found in long_first_lines(path)]


def test_long_first_lines_are_found(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(f'"""{"a" * 80}"""\n\ndef f():\n    """{"b" * 81}\n\n    More.\n    """\n')
    assert list(long_first_lines(path)) == [f"module.py: f: {'b' * 81}"]
