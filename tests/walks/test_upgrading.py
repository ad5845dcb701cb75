"""docs/upgrading.md: a pull after a user's changes has nothing to conflict with, and says when set-up is due."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.meltano_project import ROOT, Project, place_project, quiet_environment

if TYPE_CHECKING:
    from pathlib import Path

COMMITTER = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false"]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *COMMITTER, *arguments], cwd=folder, capture_output=True, text=True, env=quiet_environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The repository that users pull from."""
    folder = tmp_path / "published"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    place_project(folder)
    for name in (".gitignore", "requirements.txt", "shop.meltano.example.yml"):
        shutil.copy(ROOT / name, folder)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=one")
    return folder


@pytest.fixture
def user(tmp_path: Path, published: Path) -> Project:
    """A checkout after set-up."""
    git(tmp_path, "clone", "--quiet", str(published), "checkout")
    checkout = tmp_path / "checkout"
    shutil.copy(checkout / "shop.meltano.example.yml", checkout / "shop.meltano.yml")
    shutil.copy(ROOT / "release/post-merge", checkout / ".git/hooks/post-merge")
    return Project(checkout, quiet_environment())


def test_a_pull_after_a_users_settings_and_selection_changes_nothing_of_theirs(user: Project, published: Path) -> None:
    user.succeed("config", "set", "target-posthog", "senders", "2")
    user.succeed("--environment=prod", "config", "set", "tap-shopify-orders", "method", "pages")
    user.succeed("select", "tap-shopify-orders", "*", "*")
    user.succeed("--environment=preview", "select", "tap-shopify-orders", "*", "*")
    assert git(user.folder, "status", "--porcelain") == "", (
        "all of it stands in shop.meltano.yml, which git leaves alone"
    )
    own = (user.folder / "shop.meltano.yml").read_text()

    (published / "meltano.yml").write_text((published / "meltano.yml").read_text().replace("@hourly", "@daily"))
    git(published, "commit", "--quiet", "--all", "--message=two")
    said = git(user.folder, "pull", "--quiet")
    assert "make setup" not in said
    assert (user.folder / "shop.meltano.yml").read_text() == own
    assert "@daily" in (user.folder / "meltano.yml").read_text()
    assert '"senders": 2' in user.succeed("config", "print", "target-posthog")


def test_a_pull_that_brings_other_packages_says_that_set_up_is_due(user: Project, published: Path) -> None:
    (published / "requirements.txt").write_text("# others\n")
    git(published, "commit", "--quiet", "--all", "--message=two")
    assert "run `make setup` before the next run" in git(user.folder, "pull", "--quiet")


# Stands for a Python that makes an environment, whose pip writes down what it is to install.
PYTHON = """#!/bin/sh
[ "$2" = venv ] || exit 0
mkdir -p .venv/bin
printf '#!/bin/sh\\necho "$*" >>installed\\n' >.venv/bin/pip
chmod +x .venv/bin/pip
"""


def test_set_up_installs_what_a_users_own_file_names_and_anew_when_it_changes(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "pyproject.toml", "shop.meltano.example.yml", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    git(tmp_path, "init", "--quiet")

    def installed() -> list[str]:
        (tmp_path / "installed").write_text("")
        command = ["make", "setup", f"PYTHON={tmp_path / 'python'}"]
        subprocess.run(command, cwd=tmp_path, env=quiet_environment(), check=True, capture_output=True)
        return [line.split()[-1] for line in (tmp_path / "installed").read_text().splitlines()]

    (tmp_path / ".git/hooks/post-merge").touch()
    assert installed() == ["requirements.txt", "."]
    (tmp_path / "requirements-shop.txt").write_text("--requirement orchestrate/requirements-image.txt\n")
    assert "requirements-shop.txt" not in git(tmp_path, "status", "--porcelain", "--untracked-files=all")
    assert installed() == ["requirements.txt", ".", "requirements-shop.txt"]
    assert installed() == [], "nothing has changed"
