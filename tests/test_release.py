"""The text of a release, and what its workflow may do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from release.notes import CHANGELOG, notes

ROOT = Path(__file__).parent.parent
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
TEXT = """# Changelog

## Unreleased

## [1.1.0] - 2027-01-02

### Added

- More.

## 1.0.0 - 2026-12-01

- The first.
"""


@pytest.mark.parametrize(("version", "text"), [("1.1.0", "### Added\n\n- More.\n"), ("1.0.0", "- The first.\n")])
def test_a_release_says_what_its_section_of_the_changelog_says(version: str, text: str) -> None:
    assert notes(TEXT, version) == text


@pytest.mark.parametrize("version", ["1.2.0", "1.1", "1.2.0.dev3"])
def test_a_version_of_which_nothing_is_written_is_not_released(version: str) -> None:
    with pytest.raises(ValueError, match="write what users will notice"):
        notes(TEXT, version)


def test_the_next_release_has_a_text() -> None:
    assert notes(CHANGELOG.read_text(), "0.9.0.dev1")


def test_the_release_waits_for_a_person_and_no_password_is_kept() -> None:
    publish = WORKFLOW["jobs"]["publish"]
    assert publish["environment"] == "release"
    assert publish["permissions"] == {"id-token": "write"}
    assert [name for name, job in WORKFLOW["jobs"].items() if "id-token" in job["permissions"]] == ["publish"]
    assert WORKFLOW["jobs"]["announce"]["needs"] == "publish"


def test_what_is_published_is_what_was_tried() -> None:
    built = [step["run"] for step in WORKFLOW["jobs"]["build"]["steps"] if "run" in step]
    assert built[0] == "make release-check"
    later = [step.get("run", "") for job in ("publish", "announce") for step in WORKFLOW["jobs"][job]["steps"]]
    assert not [one for one in later if re.search(r"\b(make|uv|pip|build)\b", one)]
