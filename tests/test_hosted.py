"""Files for the hosting service: workflows, templates, citation, release script."""

import ast
import importlib.util
import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
HOSTED = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WORKFLOWS = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((HOSTED / "workflows").glob("*.yml"))
}
JOBS = {(name, job): body for name, flow in WORKFLOWS.items() for job, body in flow["jobs"].items()}
FORMS = sorted(path for path in (HOSTED / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
CHECK = JOBS["checks.yml", "check"]
PLACE = "https://host.example/owner/invopt"
CHANGES = "# Changelog\n\n## [9.9.0] - 2027-01-31\n\n### Added\n\n- New.\n\n## [9.8.0] - 2027-01-01\n\n- Old.\n"


def load_release():
    spec = importlib.util.spec_from_file_location("release_script", HOSTED / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = load_release()


@pytest.fixture
def root(tmp_path):
    """A project of version 9.9.0 with a changelog section and this README."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "invopt"\nversion = "9.9.0"\n', encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(CHANGES, encoding="utf-8")
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def made(step):
    """Targets of `make` that a step of a workflow calls, for each combination of its matrix."""
    calls = re.findall(r"\bmake ([^\n&|;]+)", step.get("run", ""))
    matrix = CHECK["strategy"]["matrix"]
    filled = [call.replace("${{ matrix.targets }}", value) for call in calls for value in matrix["targets"]]
    return {target for call in filled for target in call.split()}


def test_workflows_call_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    called = {target for job in JOBS.values() for step in job.get("steps", ()) for target in made(step)}
    assert called
    assert called <= targets


def test_hosted_checks_are_those_of_make_check():
    (parts,) = re.findall(r"^check:([a-z -]*)", MAKEFILE, re.MULTILINE)
    assert sorted(itertools.chain(*map(made, CHECK["steps"]))) == sorted(parts.split())


def test_supported_pythons_are_the_checked_ones():
    prefix = "Programming Language :: Python :: 3."
    declared = ["3." + line.removeprefix(prefix) for line in PROJECT["classifiers"] if line.startswith(prefix)]
    assert CHECK["strategy"]["matrix"]["python"] == declared
    assert PROJECT["requires-python"] == f">={declared[0]}"


def test_a_run_replaces_the_one_before_but_no_release_is_cut_off():
    # A called workflow takes its group from its own file: an equal one would end the workflow that calls it.
    groups = {name: flow["concurrency"] for name, flow in WORKFLOWS.items()}
    assert groups["checks.yml"]["cancel-in-progress"] is True
    assert groups["release.yml"]["cancel-in-progress"] is False
    assert len({group["group"] for group in groups.values()}) == len(groups)


@pytest.mark.parametrize("job", JOBS, ids="-".join)
def test_jobs_have_a_limit_and_actions_a_major_version(job):
    body = JOBS[job]
    if "uses" not in body:  # what is called from another file has its limits there
        assert body["timeout-minutes"] <= 60
        assert re.fullmatch(r"ubuntu-\d\d\.04", body["runs-on"])
    for step in body.get("steps", ()):
        assert re.fullmatch(r"[\w./-]+@(release/)?v\d+", step.get("uses", "a/b@v1"))
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_permissions_are_the_least():
    default = {name: flow["permissions"] for name, flow in WORKFLOWS.items()}
    assert default == {"checks.yml": {"contents": "read"}, "release.yml": {}}
    granted = {job: body.get("permissions", default[job[0]]) for job, body in JOBS.items()}
    assert granted == {
        ("checks.yml", "check"): {"contents": "read"},
        ("release.yml", "checks"): {"contents": "read"},
        ("release.yml", "build"): {"contents": "read"},
        ("release.yml", "publish"): {"id-token": "write"},
        ("release.yml", "announce"): {"contents": "write"},
    }


def test_publishing_waits_for_checks_and_build():
    trigger = WORKFLOWS["release.yml"][True]  # YAML 1.1 reads the key `on` as true
    assert trigger == {"push": {"tags": ["v*"]}}
    jobs = WORKFLOWS["release.yml"]["jobs"]
    assert jobs["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert "workflow_call" in WORKFLOWS["checks.yml"][True]
    assert set(jobs["publish"]["needs"]) == {"checks", "build"}
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["announce"]["needs"] == "publish"


def test_no_text_from_outside_is_pasted_into_a_script():
    lines = [step["run"] for job in JOBS.values() for step in job.get("steps", ()) if "run" in step]
    assert {inner for line in lines for inner in re.findall(r"\$\{\{ *([\w.]+)", line)} <= {"matrix.targets"}


def test_scripts_of_workflows_parse():
    for job, body in JOBS.items():
        for step in body.get("steps", ()):
            script = re.sub(r"\$\{\{[^}]*\}\}", "x", step.get("run", ""))
            done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{job}: {done.stderr}"
            for code in re.findall(r'-c "([^"]*)"', script):
                ast.parse(code)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_forms_ask_questions(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"]
    assert form["description"]
    asked = [item for item in form["body"] if item["type"] != "markdown"]
    names = [item["id"] for item in asked]
    assert len(names) == len(set(names)) > 0
    assert all(item["attributes"]["label"] for item in asked)


def test_commands_that_a_bug_report_needs_exist():
    from invopt.cli import app

    text = (HOSTED / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r"`invopt (\w+)`", text))
    assert asked == {"doctor"}
    assert asked <= {command.callback.__name__ for command in app.registered_commands}


def test_version_is_the_same_in_all_places():
    import invopt

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == invopt.__version__ == str(citation["version"])
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]
    assert len(citation["references"]) >= 2
    assert all(paper["title"] and paper["authors"] and paper["year"] for paper in citation["references"])


def test_changelog_goes_by_release_the_newest_first():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    found = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d|unreleased)", line) for line in headings]
    assert all(found), headings
    versions = [tuple(int(part) for part in line.groups()[:3]) for line in found]
    assert versions == sorted(set(versions), reverse=True)
    assert ".".join(map(str, versions[0])) == PROJECT["version"]
    assert all(line[4] != "unreleased" for line in found[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_release_notes_are_the_section_of_the_tag(root):
    release.check("v9.9.0", root)
    assert release.notes("9.9.0", root) == "### Added\n\n- New.\n"
    assert release.notes("9.8.0", root) == "- Old.\n"


@pytest.mark.parametrize("tag", ["v9.8.0", "9.9.0", "v9.9.0rc1", "v9.9"])
def test_a_tag_that_is_not_the_version_is_refused(root, tag):
    with pytest.raises(SystemExit, match="the tag must be 'v9.9.0'"):
        release.check(tag, root)


@pytest.mark.parametrize(
    ("heading", "said"),
    [
        ("## [9.9.0] - unreleased\n\n- New.", "YYYY-MM-DD"),
        ("## [9x9.0] - 2027-01-31\n\n- New.", "YYYY-MM-DD"),
        ("## [9.9.01] - 2027-01-31\n\n- New.", "YYYY-MM-DD"),
        ("## [9.9.0] - 2027-01-31\n", "says nothing"),
    ],
)
def test_a_version_without_a_dated_section_is_refused(root, heading, said):
    (root / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n\n## [9.8.0] - 2027-01-01\n\n- Old.\n")
    with pytest.raises(SystemExit, match=said):
        release.check("v9.9.0", root)


def test_links_of_the_readme_lead_to_files():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = [target for _, target, _ in release._LINK.findall(text) if not release._ABSOLUTE.match(target)]
    assert "docs/images/mug.png" in targets
    assert [target for target in targets if not (ROOT / target.partition("#")[0]).exists()] == []


def test_a_package_index_gets_absolute_addresses(root):
    release.address(PLACE, "v9.9.0", root)
    text = (root / "README.md").read_text(encoding="utf-8")
    assert f"]({PLACE}/raw/v9.9.0/docs/images/mug.png)" in text
    assert f"]({PLACE}/blob/v9.9.0/CONTRIBUTING.md)" in text
    assert "](https://mitsuba-renderer.org)" in text
    assert re.findall(r"\]\((?!https?:)[^)]*\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)) == []
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Source"] == PLACE
    assert {url.startswith(PLACE) for url in project["urls"].values()} == {True}


def test_code_of_the_readme_is_not_taken_for_links(root):
    release.address(PLACE, "v9.9.0", root)
    before, after = ((folder / "README.md").read_text(encoding="utf-8") for folder in (ROOT, root))
    code = re.compile(r"```.*?```", re.DOTALL)
    assert code.findall(before) == code.findall(after)


def test_urls_of_the_project_itself_are_kept(root):
    own = '[project]\nname = "invopt"\nversion = "9.9.0"\n\n[project.urls]\nSource = "https://elsewhere.example"\n'
    (root / "pyproject.toml").write_text(own, encoding="utf-8")
    release.address(PLACE, "v9.9.0", root)
    assert (root / "pyproject.toml").read_text(encoding="utf-8") == own


def test_the_workflow_calls_the_script_as_it_is(root):
    called = re.findall(r"python \.github/release\.py (\w+)", (HOSTED / "workflows" / "release.yml").read_text())
    assert sorted(called) == ["address", "check", "notes"]
    shutil.copytree(HOSTED, root / ".github")
    where = {
        "GITHUB_REF_NAME": "v9.9.0",
        "GITHUB_SERVER_URL": "https://host.example",
        "GITHUB_REPOSITORY": "owner/invopt",
    }
    for what in called:
        command = [sys.executable, ".github/release.py", what]
        done = subprocess.run(command, cwd=root, env=where, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ("### Added\n\n- New.\n" if what == "notes" else "")
    assert f"{PLACE}/raw/v9.9.0/" in (root / "README.md").read_text(encoding="utf-8")
