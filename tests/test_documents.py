"""What the documents say is what the code does."""

from __future__ import annotations

import ast
import importlib
import re
from types import FunctionType
from typing import TYPE_CHECKING

import pytest
import yaml

from docs.generate import DOCUMENTS, PLUGINS, ROOT, definition
from target_posthog.commands.group import commands

if TYPE_CHECKING:
    from pathlib import Path


SDK_S = ("stream_map", "faker", "flattening", "validate_records")  # described by the SDK, some without a label
HOOKS = (FunctionType, classmethod, staticmethod, property)
TABLE_CELLS = 5  # three, and what is before and after them


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


def test_no_page_and_no_program_sends_a_command_to_the_sandbox_unsaid() -> None:
    """Without `--environment` Meltano takes the default, in which nothing is the user's."""
    programs = [*(ROOT / "tap_shopify_orders").rglob("*.py"), *(ROOT / "target_posthog").rglob("*.py")]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *programs]
    commands = re.compile(r"meltano (?:invoke|run --full-refresh) .*")
    assert [(page.name, said) for page in pages for said in commands.findall(page.read_text())] == []


def test_what_asks_posthog_is_run_where_its_key_is() -> None:
    pages = [path.read_text() for path in (ROOT / "docs").glob("*.md")]
    asking = re.compile(r"--environment=(\w+) invoke target-posthog:(?:receipts rebuild|resend --missing|reconcile)")
    environments = [one for page in pages for one in asking.findall(page)]
    assert set(environments) == {"preview"}
    assert len(environments) >= 5


def overridden(package: str) -> set[tuple[str, str]]:
    """Return the classes of a package that are the SDK's by descent, each with what it overrides of it."""
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.stem in ("__init__", "__main__") or "singer_sdk" not in path.read_text():
            continue
        names = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
        for one in (getattr(importlib.import_module(module), name) for name in names):
            theirs = [base for base in one.__mro__ if base is not object and not base.__module__.startswith(package)]
            if not any(base.__module__.startswith("singer_sdk") for base in theirs):
                continue
            hooks = {name for name, what in vars(one).items() if isinstance(what, HOOKS) and name[:2] != "__"}
            found |= {(one.__name__, name) for name in hooks if any(name in vars(base) for base in theirs)}
    return found


def listed(title: str, *, hooks: int, classes: int) -> set[tuple[str, str]]:
    """Return the classes and hooks that a table of the decisions lists; an empty cell is as the one above it."""
    section = (ROOT / "docs/decisions.md").read_text().partition(f"\n## Hooks of the SDK: {title}\n")[2]
    found, owners = set(), list[str]()
    for line in section.partition("\n## ")[0].splitlines():
        cells = line.split("|")
        if len(cells) != TABLE_CELLS or "`" not in line:
            continue
        owners = re.findall(r"`(\w+)`", cells[classes]) or owners
        found |= {(owner, hook) for owner in owners for hook in re.findall(r"`(?:\w+\.)?(\w+)`", cells[hooks])}
    return found


def test_the_decisions_list_each_hook_of_the_sdk_that_is_overridden() -> None:
    assert overridden("target_posthog") == listed("the target", classes=1, hooks=2)
    assert overridden("tap_shopify_orders") == listed("the tap", hooks=1, classes=2)


def test_the_rooms_of_the_target_are_those_of_the_design() -> None:
    table = (ROOT / "docs/design.md").read_text().partition("| room of the target |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)(?:/|\.py)` \| (.*?) \|", table, re.MULTILINE))
    rooms = {path.stem for path in (ROOT / "target_posthog").iterdir() if path.suffix in {"", ".py"}}
    assert rows.keys() == {room for room in rooms if room[0] != "_"}
    assert {*re.findall(r"`([\w-]+)`", rows["commands"])} == commands.commands.keys()


def test_the_tree_of_what_an_answer_raises_has_each_class() -> None:
    tree = ast.parse((ROOT / "tap_shopify_orders/shopify/answers.py").read_text())
    raised = {node.name for node in tree.body if isinstance(node, ast.ClassDef) and is_exception(node, tree)}
    assert {*re.findall(r"\+-- (\w+)", ast.get_docstring(tree) or "")} == raised | {"RunError"}


def is_exception(node: ast.ClassDef, tree: ast.Module) -> bool:
    """Say whether a class of a module is an exception by the names of its bases."""
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    parents = [one for one in tree.body if isinstance(one, ast.ClassDef) and one.name in bases]
    return not bases.isdisjoint({"Exception", "RunError"}) or any(is_exception(one, tree) for one in parents)
