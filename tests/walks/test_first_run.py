"""docs/first-run.md, command by command, from the credentials to books that balance."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import requests

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.access import SCOPES
from sandbox.shop.cdnow import cdnow_store
from tests.conftest import LAST_DAY
from tests.pipeline.meltano_project import LONGEST_RUN_SECONDS, ROOT, Project

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs/first-run.md").read_text()
COMMANDS = [one for one in re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE) if not one.startswith("make ")]
SHOWN = PAGE.split("<!-- what reconcile prints -->\n```text\n")[1].split("```")[0]
LOOK = "python -m sandbox preview"


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop that lets its own report be read."""
    with Shop(cdnow_store(LAST_DAY, customers=40), scopes=(*SCOPES, "read_reports")).serve() as served:
        yield served


@pytest.fixture
def user(project: Project, posthog: PostHog) -> Project:
    """Somebody with a shop, a PostHog project, and an editor that knows what to write."""
    answers = {
        "SHOPIFY_STORE": "sandbox.myshopify.com",
        "SHOPIFY_ACCESS_TOKEN": "shpat_sandbox",
        "POSTHOG_API_KEY": "phc_sandbox",
        "POSTHOG_HOST": posthog.url,
        "POSTHOG_PROJECT_ID": "1",
        "POSTHOG_PERSONAL_API_KEY": "phx_sandbox",
    }
    editor = project.folder / "editor"
    editor.write_text("#!/bin/sh\ncat > \"$1\" <<'END'\n" + "".join(f"{k}={v}\n" for k, v in answers.items()) + "END\n")
    editor.chmod(0o700)
    shutil.copy(ROOT / ".env.example", project.folder)
    project.environment |= {"EDITOR": str(editor), "SANDBOX_PREVIEW_PORT": "0"}
    project.environment.pop("TARGET_POSTHOG_HOST")
    return project


def said_by(user: Project, command: str) -> str:
    done = subprocess.run(
        command,
        shell=True,
        cwd=user.folder,
        env=user.environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_SECONDS,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def seen(user: Project) -> str:
    """The page that the command opens."""
    with subprocess.Popen(
        LOOK.split(), cwd=user.folder, env=user.environment, stdout=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout is not None
        page = requests.get(served.stdout.readline().split()[0], timeout=30).text
        served.terminate()
    return page


def test_each_command_of_the_page_does_what_the_page_says(user: Project, posthog: PostHog) -> None:
    said = {}
    for command in COMMANDS:
        if "--environment=prod run sync" in command:
            paths = [one.path for one in posthog.controls.requests]
            sent = [path for path in paths if not path.startswith("/api/projects/")]  # those are questions
            assert sent == [], "nothing has been sent yet"
        said[command] = seen(user) if command == LOOK else said_by(user, command)
    preview, reconcile = (
        next(text for command, text in said.items() if part in command) for part in ("preview run", ":reconcile")
    )
    assert "nothing has been sent" in preview
    assert "What a run would send" in said[LOOK]
    assert posthog.totals()["doubles"] == 0
    assert SHOWN in reconcile


def test_the_real_project_gets_the_whole_history_too(user: Project, posthog: PostHog) -> None:
    copy, refresh = (next(one for one in COMMANDS if part in one) for part in (".env.example", "--full-refresh"))
    sync = "meltano --environment=prod run sync"
    said_by(user, copy)
    said_by(user, sync)
    with PostHog(api_key="phc_real").serve() as real:
        user.environment |= {"POSTHOG_API_KEY": "phc_real", "POSTHOG_HOST": real.url}
        assert "until a full refresh (the same `meltano run` with `--full-refresh`) brings it the rest" in said_by(
            user, sync
        )
        assert real.totals()["events"] == {}
        said_by(user, refresh)
        assert real.totals() == posthog.totals()


def test_the_page_names_every_picture_and_no_other() -> None:
    named = set(re.findall(r"\(pictures/([\w-]+\.png)\)", PAGE))
    assert named == {one.name for one in (ROOT / "docs/pictures").glob("*.png")}
