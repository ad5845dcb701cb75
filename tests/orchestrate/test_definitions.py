"""The README's way into a Meltano project of one's own: both plugins added by their definition files, from a wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from docs.generate import ABOUT, PLUGINS, definition
from tests.pipeline.meltano_project import LONGEST_RUN_SECONDS, ROOT, SCRIPTS, Project, quiet_environment

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.posthog import PostHog
    from sandbox.shop import Shop

README = (ROOT / "README.md").read_text().split("\n## In your own Meltano project\n")[1].split("\n## ")[0]
ADDING = re.findall(r"^\$ (meltano add .+)$", README, re.MULTILINE)
PAIR = ("run", "tap-shopify-orders", "target-posthog")

VALUES = {"string": "a", "integer": "7", "boolean": "true", "array": "[1]", "object": '{"a": 1}'}

# What those of the target's commands are given that don't run without.
ARGUMENTS = {"explain": ["1001"], "init": ["streams.singer"]}
A_SCHEMA = {"type": "SCHEMA", "stream": "tickets", "schema": {"properties": {"id": {"type": "integer"}}}}


def value_of(setting: dict[str, Any]) -> str:
    """A value that the setting could have, as a variable of the environment has it."""
    return setting["options"][-1]["value"] if setting["kind"] == "options" else VALUES[setting["kind"]]


def told(config: dict[str, object], setting: str) -> bool:
    """Whether the plugin is told a setting, at once or within an object such as `faker_config`."""
    return setting in config or any(name.startswith(f"{setting}.") for name in config)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [SCRIPTS / "uv", "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--out-dir", folder], cwd=ROOT, check=True, timeout=LONGEST_RUN_SECONDS)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture
def elsewhere(tmp_path: Path, wheel: Path, shop: Shop, posthog: PostHog) -> Project:
    """An empty project, beside the definition files; what they say is fetched from an index is the wheel."""
    definitions = shutil.copytree(ROOT / "definitions", tmp_path / "definitions")
    for path in definitions.iterdir():
        path.write_text(path.read_text().replace("pip_url: shopify-posthog\n", f"pip_url: {wheel}\n"))
    addresses = {
        "TAP_SHOPIFY_ORDERS_STORE": "sandbox",
        "TAP_SHOPIFY_ORDERS_ACCESS_TOKEN": "shpat_sandbox",
        "TAP_SHOPIFY_ORDERS_ADMIN_URL": f"{shop.url}/admin",
        "TARGET_POSTHOG_API_KEY": "phc_sandbox",
        "TARGET_POSTHOG_HOST": posthog.url,
    }
    environment = quiet_environment() | addresses
    # Meltano alone is there; the pair is only what Meltano installs.
    bare = tmp_path / "bare"
    bare.mkdir()
    for command in ("meltano", "uv"):
        (bare / command).symlink_to(SCRIPTS / command)
    environment["PATH"] = f"{bare}{os.pathsep}{os.defpath}"
    project = Project(tmp_path / "project", environment)
    Project(tmp_path, environment).succeed("init", "project", "--no-usage-stats")
    return project


def add(project: Project) -> None:
    for command in ADDING:
        project.succeed(*command.replace(" definitions/", " ../definitions/").split()[1:])


def test_both_are_added_with_all_settings_and_commands_and_again_over_a_users_changes(
    elsewhere: Project, posthog: PostHog
) -> None:
    assert len(ADDING) == len(PLUGINS)
    add(elsewhere)
    landed = yaml.safe_load((elsewhere.folder / "meltano.yml").read_text())["plugins"]
    for name, about in ABOUT.items():
        (entry,) = landed[about["plugin_type"]]
        said = definition(name)
        assert entry.keys() == said.keys() - {"keywords"}, (
            "all of it lands in the user's meltano.yml, as the README says"
        )
        assert [one["name"] for one in entry["settings"]] == [one["name"] for one in said["settings"]]

    for name in PLUGINS:
        values = {one["name"]: value_of(one) for one in definition(name)["settings"]}
        variables = {f"{name}_{setting}".replace("-", "_").upper(): value for setting, value in values.items()}
        printed = elsewhere.run("config", "print", name, **variables)
        assert printed.returncode == 0, printed.stderr
        reached = json.loads(printed.stdout)
        assert {setting for setting in values if not told(reached, setting)} == set(), "each reaches its plugin"
    (preview,) = re.findall(r"TARGET_POSTHOG_PREVIEW_PATH=(\S+)", README)
    said = elsewhere.succeed(*PAIR, TARGET_POSTHOG_PREVIEW_PATH=preview)
    assert (elsewhere.folder / preview).with_name(".gitignore").read_text() == "*\n", "it holds customers' data"
    assert "nothing has been sent" in said
    assert posthog.events() == []
    (elsewhere.folder / "streams.singer").write_text(json.dumps(A_SCHEMA))
    for command in ABOUT["target-posthog"]["commands"]:
        given = ARGUMENTS.get(command, [])
        done = elsewhere.run("invoke", f"target-posthog:{command}", *given, TARGET_POSTHOG_PREVIEW_PATH=preview)
        assert "Usage" not in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr

    elsewhere.succeed("config", "set", "target-posthog", "identity", "customer_id")
    elsewhere.succeed("select", "tap-shopify-orders", "*", "*")  # an exclusion alone would leave nothing selected
    elsewhere.succeed("select", "tap-shopify-orders", "orders", "note", "--exclude")
    before = yaml.safe_load((elsewhere.folder / "meltano.yml").read_text())["plugins"]
    add(elsewhere)
    assert yaml.safe_load((elsewhere.folder / "meltano.yml").read_text())["plugins"] == before

    elsewhere.succeed(*PAIR)
    assert posthog.totals()["events"]["Order Completed"] > 0
    received = posthog.totals()["received"]
    elsewhere.succeed(*PAIR)
    assert posthog.totals()["received"] == received
