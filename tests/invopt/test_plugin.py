"""`invopt.plugin`: what it exports is documented, and what is documented exists."""

import re
from pathlib import Path

import invopt
from invopt import plugin

PAGE = (Path(__file__).parents[2] / "docs" / "plugin.rst").read_text()
# Names in the lists of the page, one a line.
LISTED = re.findall(r"^   (?:invopt\.)?(\w+)$", PAGE, re.MULTILINE)
BASES = {"a problem": plugin.Problem, "an objective": plugin.Objective}
BASES |= {"an estimator": plugin.Estimator, "a method": plugin.Optimizer}


def test_every_name_is_documented_once():
    constants = {name for name in plugin.__all__ if name.isupper()}
    assert all(f"``{name}``" in PAGE for name in constants)
    assert sorted(LISTED) == sorted(set(plugin.__all__) - constants)


def test_names_of_invopt_itself_lead_to_its_own_pages():
    public = set(re.findall(r"^   invopt\.(\w+)$", PAGE, re.MULTILINE))
    assert public == set(plugin.__all__) & set(invopt.__all__)


def test_every_name_has_a_docstring_and_is_there():
    assert list(plugin.__all__) == sorted(plugin.__all__, key=lambda name: (not name.isupper(), name.islower(), name))
    for name in plugin.__all__:
        item = getattr(plugin, name)
        assert name.isupper() or len(item.__doc__ or "") > 20, name


def test_tables_name_what_the_bases_have():
    tables = dict(re.findall(r"   \* - of (.+)\n     - meaning\n((?:   .+\n)+)", PAGE))
    assert set(tables) == set(BASES)
    for whose, rows in tables.items():
        said = {
            name for row in re.findall(r"^   \* - (.+)$", rows, re.MULTILINE) for name in re.findall(r"``(\w+)``", row)
        }
        annotated = {name for cls in BASES[whose].__mro__ for name in getattr(cls, "__annotations__", {})}
        assert said <= {*dir(BASES[whose]), *annotated}
        assert set(getattr(BASES[whose], "__abstractmethods__", ())) <= said
