"""The plan of the house: who imports whom, drawn from the source, and what must not be.

``python -m pytest tests/test_floors.py -s`` prints the floors.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WINGS = ("problems", "estimators", "optimizers")
# Lowest first: a floor may import itself and those below it. Names are modules or packages within invopt.
FLOORS = (
    ("exceptions",),
    ("core",),
    ("evaluate",),
    ("journal", "snapshots"),
    ("network",),
    ("run",),
    ("adapters",),
    ("rendering",),
    ("plugin",),
    WINGS,
    ("testing",),
    ("report",),
    ("bench", "runfiles"),
    ("cli", "__main__"),
    # The public names, and what hands the upper floors to the lower ones.
    ("",),
)
# What of the framework a wing may import.
FOR_WINGS = ("plugin", "rendering", "exceptions")
RENDERERS = {"mitsuba", "drjit"}
# Who imports them beside invopt.rendering: neural radiosity is a renderer of its own, in Dr.Jit, loaded once a backend
# is active.
RENDERS_ITSELF = ("problems.radiosity",)
MOST_FILES, MOST_LINES = 16, 300


def sources(root: Path) -> dict[str, Path]:
    """Files of the framework and the wings by the name of their module within invopt; links are not followed."""
    found = {}
    for top in ("invopt", *WINGS):
        for path in sorted((root / top).rglob("*.py")):
            folders = path.relative_to(root).parents
            if not any((root / folder).is_symlink() for folder in folders):
                parts = list(path.relative_to(root).with_suffix("").parts)
                parts = parts[1:] if top == "invopt" else parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(module: str, path: Path) -> Iterator[str]:
    """Names that a file imports, as if all imports were absolute; within functions and for types too."""
    parts = ["invopt", *module.split(".")] if module else ["invopt"]
    package = parts if path.name == "__init__.py" else parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def arrows(files: dict[str, Path]) -> dict[str, set[str]]:
    """Modules of ours that each module imports."""
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        names = [name for name in imported(module, path) if name.split(".")[0] == "invopt"]
        found[module] = {home(name, files) for name in names} - {module}
    return found


def home(name: str, files: dict[str, Path]) -> str:
    """Module that a dotted name is, or is a name in."""
    inner = name.removeprefix("invopt").removeprefix(".")
    while inner not in files:
        inner = inner.rpartition(".")[0]
    return inner


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other, however far round."""
    left = {module: set(targets) for module, targets in graph.items()}
    while free := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in free:
            del left[module]
    # What is left imports something that is left: those that are also imported by it are in a circle, or between two.
    while loose := [module for module in left if not any(module in targets for targets in left.values())]:
        for module in loose:
            del left[module]
    return [f"{module} -> {', '.join(sorted(left[module] & left.keys()))}" for module in sorted(left)]


def is_in(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def floor_of(module: str) -> int:
    """Number of a module's floor; everything has one."""
    found = [i for i, places in enumerate(FLOORS) for place in places if place and is_in(module, place)]
    if not found and module:
        raise LookupError(f"{module} is on no floor: name it in FLOORS")
    return found[0] if found else len(FLOORS) - 1


def upward(graph: dict[str, set[str]]) -> list[str]:
    return [f"{a} -> {b}" for a, targets in graph.items() for b in sorted(targets) if floor_of(b) > floor_of(a)]


def wing_of(module: str) -> str | None:
    return next((wing for wing in WINGS if is_in(module, wing)), None)


def between_wings(graph: dict[str, set[str]]) -> list[str]:
    return [
        f"{a} -> {b}"
        for a, targets in graph.items()
        for b in sorted(targets)
        if wing_of(a) and wing_of(b) and wing_of(a) != wing_of(b)
    ]


def behind_the_plugin(graph: dict[str, set[str]]) -> list[str]:
    """What a wing imports of the framework that is not for parts of one's own."""
    found = []
    for a, targets in graph.items():
        for b in sorted(targets) if wing_of(a) else ():
            private = any(part.startswith("_") for part in b.split("."))
            if wing_of(b) is None and (private or not any(is_in(b, place) for place in FOR_WINGS)):
                found.append(f"{a} -> {b or 'invopt'}")
    return found


def rendering_elsewhere(files: dict[str, Path]) -> list[str]:
    allowed = ("rendering", *RENDERS_ITSELF)
    return [
        module
        for module, path in files.items()
        if RENDERERS & {name.split(".")[0] for name in imported(module, path)}
        and not any(is_in(module, place) for place in allowed)
    ]


def crowded(root: Path, files: dict[str, Path]) -> list[str]:
    """Folders with more files than they may have."""
    counts: dict[str, int] = {}
    for path in files.values():
        folder = path.parent.relative_to(root).as_posix()
        counts[folder] = counts.get(folder, 0) + 1
    return [f"{folder}: {k} files" for folder, k in counts.items() if k > MOST_FILES]


def long(root: Path, files: dict[str, Path]) -> list[str]:
    """Files with more lines than they may have."""
    lines = {path.relative_to(root).as_posix(): len(path.read_text().splitlines()) for path in files.values()}
    return [f"{name}: {k} lines" for name, k in lines.items() if k > MOST_LINES]


@pytest.fixture(scope="module")
def files():
    return sources(ROOT)


@pytest.fixture(scope="module")
def graph(files):
    return arrows(files)


def test_the_floors(graph):
    """Printed with -s, highest first."""
    for i, places in reversed(list(enumerate(FLOORS))):
        modules = [module for module in graph if floor_of(module) == i]
        below = {floor_of(target) for module in modules for target in graph[module]} - {i}
        name = ", ".join(place or "invopt" for place in places)
        on = ", ".join(FLOORS[j][0] or "invopt" for j in sorted(below, reverse=True))
        print(f"{i:3} {name:36} {len(modules):3} modules, on {on or 'nothing'}")
        assert modules, f"no module is on the floor {name}"


def test_nothing_is_in_a_circle(graph):
    assert circles(graph) == []


def test_no_arrow_runs_up(graph):
    assert upward(graph) == []


def test_wings_do_not_know_each_other(graph):
    assert between_wings(graph) == []


def test_wings_import_the_plugin_and_nothing_behind_it(graph):
    assert behind_the_plugin(graph) == []


def test_files_of_tests_are_short():
    tests = {path.as_posix(): path for path in sorted((ROOT / "tests").rglob("*.py"))}
    assert len(tests) > 100
    assert long(ROOT, tests) == []


def test_mitsuba_and_drjit_are_imported_where_rendering_is(files):
    assert rendering_elsewhere(files) == []


def test_folders_are_small(files):
    assert crowded(ROOT, files) == []


def test_files_are_short(files):
    assert long(ROOT, files) == []


# Each rule sees its fault, planted in a small tree.


def planted(root: Path, texts: dict[str, str]) -> dict[str, Path]:
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return sources(root)


SOUND = {
    "invopt/__init__.py": "from invopt.run.loop import run\n",
    "invopt/core/a.py": "import numpy\n",
    "invopt/run/loop.py": "from invopt.core import a\ndef run():\n    from invopt.core.a import b\n",
    "invopt/plugin.py": "from invopt.core.a import Part\n",
    "problems/__init__.py": "from .mine import Mine\n",
    "problems/mine.py": "from invopt.plugin import Part\nfrom invopt.rendering.scene import LiveScene\n",
    "invopt/rendering/scene.py": "import mitsuba as mi\n",
}


def faults(root: Path, texts: dict[str, str]) -> list[list[str]]:
    files = planted(root, SOUND | texts)
    graph = arrows(files)
    return [
        circles(graph),
        upward(graph),
        between_wings(graph),
        behind_the_plugin(graph),
        rendering_elsewhere(files),
        crowded(root, files),
        long(root, files),
    ]


@pytest.mark.parametrize(
    ("rules", "texts"),
    [
        ((), {}),
        ((0,), {"invopt/core/a.py": "from .b import c\n", "invopt/core/b.py": "import invopt.core.a\n"}),
        (
            (0,),
            {
                "invopt/core/a.py": "if TYPE_CHECKING:\n    from invopt.core.b import B\n",
                "invopt/core/b.py": "def f():\n    from invopt.core.c import g\n",
                "invopt/core/c.py": "from . import a\n",
            },
        ),
        ((1,), {"invopt/core/b.py": "def f():\n    from invopt.run.loop import run\n"}),
        ((1,), {"invopt/core/b.py": "from invopt import plugin\n"}),
        ((1,), {"invopt/core/b.py": "import invopt.problems.mine\n"}),
        ((2,), {"estimators/e.py": "from invopt.problems import Mine\n"}),
        ((3,), {"estimators/e.py": "from invopt.core.a import Part\n"}),
        ((3,), {"estimators/e.py": "from invopt.rendering._secret import x\n", "invopt/rendering/_secret.py": ""}),
        ((1, 3), {"estimators/e.py": "from invopt import minimize\n"}),
        ((4,), {"invopt/run/b.py": "def f():\n    import drjit.nn\n"}),
        ((4,), {"estimators/e.py": "from mitsuba import Scene\n"}),
        ((5,), {f"invopt/core/m{i}.py": "" for i in range(MOST_FILES)}),
        ((6,), {"invopt/core/b.py": "x = 1\n" * (MOST_LINES + 1)}),
    ],
)
def test_each_rule_sees_its_fault_and_no_other(rules, texts, tmp_path):
    found = faults(tmp_path, texts)
    assert {i for i, lines in enumerate(found) if lines} == set(rules), found


def test_a_module_on_no_floor_is_an_error(tmp_path):
    graph = arrows(planted(tmp_path, SOUND | {"invopt/attic.py": "from invopt.core import a\n"}))
    with pytest.raises(LookupError, match="attic is on no floor"):
        upward(graph)


def test_links_to_the_wings_are_not_counted_twice(tmp_path):
    before = planted(tmp_path, SOUND)
    (tmp_path / "invopt" / "problems").symlink_to("../problems")
    assert sources(tmp_path) == before
