"""Modules of the user are part of the identity, however the code refers to them."""

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

from invopt import IdentityError
from invopt.core.identity import digest
from invopt.core.identity.library import is_library, is_own_module

USES = {
    "passed on": "import mine\ndef helper(m, x): return m.g(x)\ndef f(x): return helper(mine, x)",
    "taken by getattr": "import mine\ndef f(x): return getattr(mine, 'g')(x)",
    "in its dictionary": "import mine\ndef f(x): return mine.__dict__['g'](x)",
    "bound to another name": "import mine\ndef f(x):\n    m = mine\n    return m.g(x)",
    "imported by a constant": "import importlib\ndef f(x): return importlib.import_module('mine').g(x)",
    "imported by a constant, within": (
        "def f(x):\n    import importlib\n    return importlib.import_module('mine').g(x)"
    ),
    "imported by a constant, renamed": "from importlib import import_module as im\ndef f(x): return im('mine').g(x)",
    "imported by a constant, as Python does": "def f(x): return __import__('mine').g(x)",
    "imported within": "def f(x):\n    import mine\n    return mine.g(x)",
    "imported within, renamed": "def f(x):\n    import mine as m\n    return m.g(x)",
    "imported within, a part": "def f(x):\n    from mine import g\n    return g(x)",
    "imported within, for an inner function": (
        "def f(x):\n    import mine\n    def inner(): return mine.g(x)\n    return inner()"
    ),
    "imported within, passed on": "def f(x):\n    import mine\n    return (lambda m: m.g(x))(mine)",
    "in a closure": "import mine\ndef make(m):\n    return lambda x: m.g(x)\nf = make(mine)",
    "as a default": "import mine\ndef f(x, m=mine): return m.g(x)",
    "held by an object": (
        "import mine\nclass C:\n    def __init__(self): self.m = mine\n    def __call__(self, x): return self.m.g(x)\n"
        "f = C()"
    ),
    "in a list": "import mine\nMODULES = [mine]\ndef f(x): return MODULES[0].g(x)",
    "behind another module": "import through\ndef f(x): return through.mine.g(x)",
    "behind another module, passed on": (
        "import through\ndef helper(m, x): return m.mine.g(x)\nf = lambda x: helper(through, x)"
    ),
    "in a package": "import pack.inner\ndef f(x): return pack.inner.mine.g(x)",
    "in a package, within": "def f(x):\n    import pack.inner as i\n    return i.mine.g(x)",
    "by a function of another module": "import through\ndef f(x): return through.call(x)",
    "by a function that imports it": "import through\ndef f(x): return through.late(x)",
    "by an attribute that a module makes": "import lazy\ndef f(x): return lazy.anything(x)",
}
FILES = {
    "mine.py": "T = [1, 1]\ndef g(x): return float(((x - T) ** 2).sum())\n",
    "through.py": "import mine\ndef call(x): return mine.g(x)\ndef late(x):\n    import mine\n    return mine.g(x)\n",
    "lazy.py": "def __getattr__(name):\n    import mine\n    return mine.g\n",
    "pack/__init__.py": "",
    "pack/inner.py": "import mine\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def made(text, folder):
    """Digest of function `f` of a script, with none of its modules loaded."""
    for name in ("mine", "through", "lazy", "pack", "pack.inner"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    space = {}
    exec(compile(text, str(folder / "script.py"), "exec"), space)
    return digest(space["f"], "fun")


@pytest.mark.parametrize("text", USES.values(), ids=USES)
def test_an_edited_module_counts(text, folder):
    before = made(text, folder)
    assert made(text, folder) == before
    (folder / "mine.py").write_text(FILES["mine.py"].replace("1, 1", "-4, 4"))
    assert made(text, folder) != before


def test_whether_it_is_loaded_does_not_count(folder):
    text = "def f(x):\n    import mine\n    return mine.g(x)"
    before = made(text, folder)
    space = {}
    exec(text, space)
    assert "mine" in sys.modules
    assert digest(space["f"]) == before


def test_modules_that_were_made_and_not_read():
    module = ModuleType("made")
    found = []
    for module.K in (1, 2):
        found.append(digest(lambda x: getattr(module, "K") + x))  # noqa: B009
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("def f(x): return eval('g(x)')", "eval"),
        ("def f(x): exec('y = g(x)')", "exec"),
        ("def f(x): return globals()['g'](x)", "globals"),
        ("def f(x, name='mine'): return __import__(name).g(x)", "__import__"),
        ("import importlib\ndef f(x): return importlib.import_module('mi' + 'ne'.strip()).g(x)", "import_module"),
        ("from importlib import import_module as im\ndef f(x, n='mine'): return im(n).g(x)", "import_module"),
        ("import sys\ndef f(x): return sys.modules['mine'].g(x)", "sys.modules"),
        ("def f(x):\n    import sys\n    return sys.modules['mine'].g(x)", "sys.modules"),
        ("import builtins\ndef f(x): return builtins.eval('g(x)')", "eval"),
        ("def helper(e, x): return e('g(x)')\ndef f(x): return helper(eval, x)", "eval"),
        ("import functools\nf = functools.partial(eval, 'g(x)')", "eval"),
        ("def g(x): return x\ndef f(x): return f.__globals__['g'](x)", "globals"),
    ],
)
def test_what_a_text_names_is_refused_with_the_way_out(text, name):
    space = {}
    exec(text, space)
    with pytest.raises(IdentityError, match=rf"'{name}' reaches.*identity='\.\.\.'"):
        digest(space["f"], "fun")


def test_common_code_is_not_refused(folder):
    text = (
        "import importlib, os, sys\n"
        "import numpy as np, scipy.optimize, torch, attrs\n"
        "from importlib import resources\n"
        "np.seterr(all='ignore')\n"
        "NET = torch.nn.Linear(2, 1).eval()\n"
        "class Model:\n"
        "    def eval(self, x): return x\n"
        "    def globals(self): return 1\n"
        "@torch.no_grad()\n"
        "def f(x):\n"
        "    import scipy.linalg as la, statistics\n"
        "    try:\n"
        "        import some_absent_package as xp\n"
        "    except ImportError:\n"
        "        xp = np\n"
        "    Model().eval(x), NET.eval(), Model().globals(), locals(), vars(Model())\n"
        "    print(sys.version, os.environ, file=sys.stderr)\n"
        "    return xp.vectorize(lambda t: t)(la.norm(x)) + scipy.optimize.rosen(x) + statistics.mean([1])\n"
    )
    assert len(made(text, folder)) == 32


def test_names_that_two_scopes_share_do_not_count_as_globals():
    space = {"scale": 1}
    exec("def f(x):\n    scale = 2\n    return x.scale * scale", space)
    before = digest(space["f"])
    space["scale"] = 3
    assert digest(space["f"]) == before


SHADOWS = ("statistics", "calendar", "code", "profile")
SHADOWED = """
import sys
from invopt.core.identity import digest
def digests(name):
    space = {}
    text = f"import {name}\\ndef named(x): return {name}.f(x)\\n"
    exec(f"{text}def within(x):\\n    import {name}\\n    return {name}.f(x)", space)
    module = sys.modules[name]
    return [digest(item) for item in (module, module.f, module.C(), space["named"], space["within"])]
print(*(text for name in sys.argv[1:] for text in digests(name)))
"""


def test_files_named_like_parts_of_python_are_the_users(tmp_path):
    found = []
    for k in (1, 2):
        for name in SHADOWS:
            (tmp_path / f"{name}.py").write_text(f"class C:\n    k = {k}\ndef f(x): return x + {k}\n")
        # Before any library imports those of Python.
        script = f"import {', '.join(SHADOWS)}\n{SHADOWED}"
        run = subprocess.run(
            [sys.executable, "-B", "-c", script, *SHADOWS], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        found.append(run.stdout.split())
    assert len(found[0]) == 5 * len(SHADOWS)
    assert all(first != second for first, second in zip(*found, strict=True))


@pytest.mark.parametrize(
    "name", ["sys", "os", "os.path", "zipimport", "statistics", "profile", "numpy.linalg", "torch"]
)
def test_parts_of_python_and_installed_packages_are_libraries(name):
    assert is_library(name)
    assert not is_own_module(importlib.import_module(name))


def test_a_part_of_python_that_is_not_loaded_is_looked_for(folder, monkeypatch):
    assert is_library("mailcap" if sys.version_info < (3, 13) else "mailbox")
    monkeypatch.delitem(sys.modules, "sched", raising=False)
    (folder / "sched.py").write_text("")
    importlib.invalidate_caches()
    assert not is_library("sched")
    assert "sched" not in sys.modules
