"""The recipes of CONTRIBUTING.md, taken in a copy of the repository: the tests that they name fail and pass as told."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.checkout import ROOT, files

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_SECONDS = 300
DIFF = re.compile(r"^```diff\n\+\+\+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIELDS = "tests/tap/test_records.py::test_a_query_names_exactly_the_fields_of_the_schema[orders]"
QUERIES = "tests/tap/test_records.py::test_a_query_is_valid_and_uses_nothing_deprecated"
GLOSSARY = "tests/target/test_shipped.py::test_the_glossary_has_each_property_and_no_other[ecommerce]"
DOCUMENTS = "tests/test_documents.py"


def steps(heading: str) -> list[tuple[str, str]]:
    """The files that a recipe changes, each with its change."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return DIFF.findall(text)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path in files():
        if (ROOT / path).is_file():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def take(folder: Path, step: tuple[str, str]) -> None:
    """Add the lines with a plus where the others stand; they have to stand in one place."""
    path, change = step
    lines = change.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line.startswith(" "))
    new = "".join(line[1:] for line in lines)
    text = (folder / path).read_text()
    assert text.count(f"\n{old}") == 1, f"{path} has not one place like this:\n{old}"
    (folder / path).write_text(text.replace(f"\n{old}", f"\n{new}"))


def passes(folder: Path, *tests: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.returncode == 0


def write_documents(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "docs.generate"], cwd=folder, check=True, timeout=LONGEST_SECONDS)


@pytest.mark.parametrize("forgotten", [0, 1])
def test_a_field_of_orders_takes_two_lines_and_a_test_names_the_one_forgotten(copy: Path, forgotten: int) -> None:
    recipe = steps("Add a field to orders")
    assert len(recipe) == 2
    take(copy, recipe[1 - forgotten])
    assert not passes(copy, FIELDS)
    take(copy, recipe[forgotten])
    assert passes(copy, FIELDS, QUERIES)


def test_an_event_takes_a_rule_and_its_page(copy: Path) -> None:
    for step in steps("Add an event"):
        take(copy, step)
    assert passes(copy, GLOSSARY)
    assert not passes(copy, DOCUMENTS)
    write_documents(copy)
    assert passes(copy, DOCUMENTS)
    assert "### Order Closed" in (copy / "docs/events.md").read_text()


def test_a_setting_takes_one_property_and_its_pages(copy: Path) -> None:
    for step in steps("Add a setting"):
        take(copy, step)
    assert not passes(copy, DOCUMENTS)
    write_documents(copy)
    assert passes(copy, DOCUMENTS)
    assert "- name: greeting" in (copy / "definitions/target-posthog.yml").read_text()
