"""The workflows may read this repository, and nothing else; what they run is pinned."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = sorted((Path(__file__).parent.parent / ".github/workflows").glob("*.yml"))
# A release writes: who publishes is proven by a token of the run, and the release's page is made with another.
WRITERS = {"publish": {"id-token": "write"}, "announce": {"contents": "write", "packages": "write"}}


def workflow(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_may_read_the_code_and_nothing_more(path: Path) -> None:
    assert workflow(path)["permissions"] == {}
    writers = WRITERS if path.name == "release.yml" else {}
    for name, job in workflow(path)["jobs"].items():
        assert job["permissions"] == writers.get(name, {"contents": "read"}), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_an_action_is_pinned_by_its_commit_and_keeps_no_credentials(path: Path) -> None:
    used = [step for step in steps(path) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]) for step in used)
    checkouts = [step for step in used if step["uses"].startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_secret_is_asked_for_and_nobody_elses_text_is_run(path: Path) -> None:
    text = path.read_text()
    assert "pull_request_target" not in text
    assert "secrets." not in text
    assert not [step for step in steps(path) if "${{" in step.get("run", "")]


def test_the_pinned_packages_are_audited() -> None:
    commands = [step.get("run", "") for path in WORKFLOWS for step in steps(path)]
    assert any(one.startswith("pip-audit --requirement requirements-dev.txt --require-hashes") for one in commands)
