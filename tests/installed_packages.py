"""Packages that tests install: files laid into a folder, as pip would."""

import textwrap


def install(folder, name, source, entries):
    """Install a module with this source as a package of the same name, with these entry points."""
    (folder / f"{name}.py").write_text(textwrap.dedent(source))
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(textwrap.dedent(entries))
