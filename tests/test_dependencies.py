"""What users install with the pair: declared, bounded, tested at both ends of its range, listed with its licence."""

from __future__ import annotations

import importlib.metadata
import re
import sys

import pytest
import yaml
from packaging.requirements import Requirement

from release.materials import ALLOWED, TOOLS, pins
from tests.checkout import ROOT, imported

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover  # the same, under its old name
    import tomli as tomllib

PACKAGES = ("tap_shopify_orders", "target_posthog")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, TOOLS_OF_PROJECT = SETTINGS["project"], SETTINGS["tool"]
REQUIRED = [Requirement(one) for one in PROJECT["dependencies"]]
EXTRAS = [Requirement(one) for some in PROJECT["optional-dependencies"].values() for one in some]


def from_elsewhere() -> set[str]:
    """Return the top-level names of all modules from elsewhere that the two packages import."""
    names = {name for package in PACKAGES for path in (ROOT / package).rglob("*.py") for name in imported(path)}
    return names - sys.stdlib_module_names - {*PACKAGES}


def owners() -> dict[str, set[str]]:
    """Return whose each top-level name is; `packages_distributions` of Python 3.10 knows only what says so itself."""
    found: dict[str, set[str]] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.name  # read from the metadata anew each time
        for file in distribution.files or ():
            found.setdefault(file.parts[0].removesuffix(".py"), set()).add(name)
    return found


def test_what_is_imported_is_required_and_nothing_else() -> None:
    owned = owners()
    needed = {min(owned[name]).lower().replace("_", "-") for name in from_elsewhere()}
    assert needed == {one.name.lower().replace("_", "-") for one in REQUIRED} - {"tomli"}


@pytest.mark.parametrize("requirement", [*REQUIRED, *EXTRAS], ids=str)
def test_a_dependency_has_both_ends_of_its_range(requirement: Requirement) -> None:
    operators = {one.operator for one in requirement.specifier}
    assert "~=" in operators or ({">=", ">", "=="} & operators and {"<", "<=", "=="} & operators)


@pytest.mark.parametrize("requirement", REQUIRED, ids=str)
def test_what_is_pinned_for_the_checkout_is_in_the_range_of_users(requirement: Requirement) -> None:
    assert requirement.specifier.contains(importlib.metadata.version(requirement.name))


def test_both_ends_of_the_ranges_are_installed_and_tested() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["ranges"]
    assert {one["resolution"] for one in job["strategy"]["matrix"]["include"]} == {"lowest-direct", "highest"}
    folders = re.findall(r"tests/\w+", next(step["run"] for step in job["steps"] if "pytest" in step.get("run", "")))
    assert [one for one in folders if not (ROOT / one).is_dir()] == []


def test_pins_are_read_without_hashes_and_notes() -> None:
    text = "backoff==2.2.1 ; sys_platform == 'never' \\\n    --hash=sha256:00\n    # via posthog\nclick==8.5.1 \\\n"
    assert pins(text) == "backoff==2.2.1 ; sys_platform == 'never'\nclick==8.5.1\n"
    everything = pins((ROOT / "requirements.txt").read_text()).splitlines()
    assert {one.name.lower() for one in REQUIRED} <= {Requirement(one).name.lower() for one in everything}


def test_the_tools_that_list_a_release_are_pinned_and_none_of_its_own() -> None:
    tools = {Requirement(one).name for one in pins(TOOLS.read_text()).splitlines()}
    assert {"cyclonedx-bom", "pip-licenses"} <= tools
    assert TOOLS.read_text().count("--hash=sha256:") >= len(tools)
    assert not {"cyclonedx-bom", "pip-licenses"} & {one.name for one in (*REQUIRED, *EXTRAS)}


def test_no_licence_that_binds_users_is_among_those_allowed() -> None:
    assert not [one for one in ALLOWED if re.search("GPL|SSPL|ELv2|Elastic|Business|Commons Clause", one)]


@pytest.mark.parametrize(
    ("law", "package", "free"),
    [
        ("target-http", "target_posthog", {"posthog"}),
        ("target-singer", "target_posthog", {"settings", "singer"}),
        ("tap-http", "tap_shopify_orders", {"shopify"}),
    ],
)
def test_a_law_on_imports_binds_each_room_but_the_one_that_it_names(law: str, package: str, free: set[str]) -> None:
    """A room that a contract doesn't list may import what it likes."""
    (contract,) = (one for one in TOOLS_OF_PROJECT["importlinter"]["contracts"] if one["id"] == law)
    rooms = {path.stem for path in (ROOT / package).iterdir() if path.suffix in {"", ".py"} and path.stem[0] != "_"}
    assert {*contract["source_modules"]} == {f"{package}.{room}" for room in rooms - free}
