"""What a release by tag needs: agreement of its parts, the changelog's section, and absolute addresses.

`check` refuses a tag that is not the version, or a version whose section of CHANGELOG.md has no date. `notes` prints
that section. `address` makes the links of README.md absolute and adds the project's URLs to pyproject.toml: a package
index shows both, and has no files beside them. The address is that of the repository that the workflow runs in.
"""

import argparse
import os
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Links and pictures of Markdown: what stands before the target, the target, what stands behind it.
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
_ABSOLUTE = re.compile(r"[a-z]+:|#", re.IGNORECASE)


def check(tag: str, root: Path = ROOT) -> None:
    """Refuse a tag that is not "v" and the version, or a version without a dated section in the changelog."""
    version = _version(root)
    if tag != f"v{version}":
        raise SystemExit(f"the tag is {tag!r} and pyproject.toml has version {version!r}: the tag must be 'v{version}'")
    notes(version, root)


def notes(version: str, root: Path = ROOT) -> str:
    """Section of a version in the changelog, without its heading."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    _, *rest = re.split(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", text, flags=re.MULTILINE)
    if len(rest) != 1:
        raise SystemExit(
            f"CHANGELOG.md must have one heading '## [{version}] - YYYY-MM-DD', with the day of the release"
        )
    section = re.split(r"^## ", rest[0], maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not section:
        raise SystemExit(f"CHANGELOG.md says nothing of {version}")
    return section + "\n"


def absolute(text: str, repository: str, tag: str) -> str:
    """Text of a README with its relative links made absolute, to the files as they are at a tag."""

    def replaced(found: re.Match[str]) -> str:
        before, target, after = found.groups()
        if _ABSOLUTE.match(target):
            return found[0]
        view = "raw" if before.startswith("!") else "blob"
        return f"{before}{repository}/{view}/{tag}/{target}{after}"

    return _LINK.sub(replaced, text)


def urls(repository: str, tag: str) -> str:
    """Table of the project's URLs for pyproject.toml."""
    lines = {
        "Source": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
    }
    return "\n[project.urls]\n" + "".join(f'{name} = "{url}"\n' for name, url in lines.items())


def address(repository: str, tag: str, root: Path = ROOT) -> None:
    """Write absolute links into README.md, and the URLs into pyproject.toml unless it has its own."""
    readme, project = root / "README.md", root / "pyproject.toml"
    readme.write_text(absolute(readme.read_text(encoding="utf-8"), repository, tag), encoding="utf-8")
    text = project.read_text(encoding="utf-8")
    if "urls" not in tomllib.loads(text)["project"]:
        project.write_text(text + urls(repository, tag), encoding="utf-8")


def _version(root: Path) -> str:
    version: str = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return version


def main() -> None:
    """Run one of the three; the tag and the repository come from the workflow's environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "notes", "address"])
    what = parser.parse_args().what
    tag = os.environ["GITHUB_REF_NAME"]
    if what == "check":
        check(tag)
    elif what == "notes":
        sys.stdout.write(notes(tag.removeprefix("v")))
    else:
        address(f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}", tag)


if __name__ == "__main__":
    main()
