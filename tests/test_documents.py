"""What the documents say is what the code does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from docs.generate import DOCUMENTS, PLUGINS, ROOT, definition
from target_posthog.commands.group import commands

if TYPE_CHECKING:
    from pathlib import Path


SDK_S = ("stream_map", "faker", "flattening", "validate_records")  # described by the SDK, some without a label


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_the_generated_parts_are_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text() == DOCUMENTS[path](), "run `make docs`"


@pytest.mark.parametrize("name", PLUGINS)
def test_what_meltano_locks_is_what_it_reads(name: str) -> None:
    variants = [path.name for path in (ROOT / "plugins").glob(f"*/{name}--*.lock")]
    example = yaml.safe_load((ROOT / "shop.meltano.example.yml").read_text())
    (declared,) = (one for kind in example["plugins"].values() for one in kind if one["name"] == name)
    assert variants == [f"{name}--{declared['variant']}.lock"]


@pytest.mark.parametrize("name", PLUGINS)
def test_a_definition_has_what_the_hub_asks_for(name: str) -> None:
    made = definition(name)
    named = {setting["name"] for setting in made["settings"]}
    assert all(set(group) <= named for group in made["settings_group_validation"])
    assert made["label"]
    assert (ROOT / made["logo_url"].partition("/raw/main/")[2]).is_file()
    assert (ROOT / made["docs"].partition("/blob/main/")[2]).is_file()
    assert all(setting["label"] for setting in made["settings"] if not setting["name"].startswith(SDK_S))


def test_the_targets_commands_are_all_in_its_definition() -> None:
    assert definition("target-posthog")["commands"].keys() == commands.commands.keys()


def test_troubleshooting_names_the_variables_that_the_environments_read() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    variables = set(re.findall(r"\$((?:SHOPIFY|POSTHOG)_\w+)", (ROOT / "shop.meltano.example.yml").read_text()))
    assert variables == set(re.findall(r"`((?:SHOPIFY|POSTHOG)_\w+)`", page))
    assert variables <= set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_no_page_sends_a_command_to_the_sandbox_unsaid() -> None:
    """Without `--environment` Meltano takes the default, in which nothing is the user's."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    commands = re.compile(r"meltano (?:invoke|run --full-refresh) .*")
    assert [(page.name, said) for page in pages for said in commands.findall(page.read_text())] == []


def test_what_asks_posthog_is_run_where_its_key_is() -> None:
    pages = [path.read_text() for path in (ROOT / "docs").glob("*.md")]
    asking = re.compile(r"--environment=(\w+) invoke target-posthog:(?:receipts rebuild|resend --missing|reconcile)")
    environments = [one for page in pages for one in asking.findall(page)]
    assert set(environments) == {"preview"}
    assert len(environments) >= 5
