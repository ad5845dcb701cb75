"""Every block of YAML in the documents: it shows its place in the project, and does there what the page says."""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tests.conftest import LAST_DAY
from tests.pipeline.meltano_project import ROOT, Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PLACES = {"plugins", "environments"}
A_FILE_OF_RULES = {"streams"}
PREVIEW = "--environment=preview"


def blocks(page: Path) -> Iterator[dict[str, Any]]:
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        yield yaml.safe_load(block)


def test_a_block_of_yaml_shows_where_it_stands() -> None:
    tops = {(page.name, *block) for page in PAGES for block in blocks(page)}
    assert [one for one in tops if not PLACES.issuperset(one[1:]) and not A_FILE_OF_RULES.issuperset(one[1:])] == []


def set_up(project: Project, block: dict[str, Any]) -> None:
    """Put a block of a page into the user's file, in the place that it shows."""
    path = project.folder / "shop.meltano.yml"
    content = yaml.safe_load(path.read_text())
    for kind, plugins in block["plugins"].items():
        for plugin in plugins:
            (own,) = (one for one in content["plugins"][kind] if one["name"] == plugin["name"])
            own.update(plugin)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture
def preview(project: Project) -> Project:
    """A project whose .env names a shop and a project of PostHog."""
    project.environment |= {"SHOPIFY_STORE": "sandbox", "SHOPIFY_ACCESS_TOKEN": "shpat_sandbox"}
    return project


def planned(project: Project) -> dict[str, int]:
    project.succeed(PREVIEW, "run", "sync")
    project.succeed(PREVIEW, "invoke", "target-posthog:plan", "--out", "plan.json")
    plan = json.loads((project.folder / "plan.json").read_text())
    return {name: one["count"] for name, one in plan["events"].items()}


def mapping_md_s_settings() -> list[dict[str, Any]]:
    """The page's two blocks of settings: changes of shipped rules, and what keeps personal data out."""
    return [one for one in blocks(ROOT / "docs/mapping.md") if "plugins" in one]


def test_mapping_md_s_changes_are_in_the_plan(preview: Project) -> None:
    changes, _ = mapping_md_s_settings()
    set_up(preview, changes)
    events = planned(preview)
    assert {"Purchase", "Product Purchased"} <= events.keys()
    assert not {"Order Completed", "Order Paid"} & events.keys()
    assert events["Product Purchased"] > events["Purchase"]
    with closing(sqlite3.connect(preview.folder / ".preview" / "preview.sqlite")) as file:
        bodies = file.execute("SELECT body FROM event WHERE event = 'Product Purchased'")
        properties = [json.loads(zlib.decompress(body))["properties"] for (body,) in bodies]
    assert [one for one in properties if one.keys() & {"total_sales", "net_sales", "revenue"}] == [], (
        "the order's money"
    )


def test_with_mapping_md_s_settings_no_personal_data_is_planned(preview: Project) -> None:
    _, no_personal_data = mapping_md_s_settings()
    set_up(preview, no_personal_data)
    preview.environment["TARGET_POSTHOG_IDENTITY"] = "email_sha256"  # the page says it in its sentence
    events = planned(preview)
    assert events["Order Completed"] > 0
    with closing(sqlite3.connect(preview.folder / ".preview" / "preview.sqlite")) as file:
        records = [zlib.decompress(body).decode() for (body,) in file.execute("SELECT body FROM record")]
        bodies = [zlib.decompress(body).decode() for (body,) in file.execute("SELECT body FROM event")]
    personal = re.compile(r"[\w.+-]+@[\w.-]+|\+\d{9,}")
    assert any(personal.search(record) for record in records), "there is something to keep out"
    assert [body for body in bodies if personal.search(body) or "first_name" in body] == []


@pytest.mark.parametrize("page", ["README.md", "docs/stores.md"])
def test_the_stores_of_a_page_are_read(project: Project, page: str) -> None:
    (block,) = (one for one in blocks(ROOT / page) if "stores" in str(one))
    entries = block["plugins"]["extractors"][0]["config"]["stores"]
    project.environment.pop("TAP_SHOPIFY_ORDERS_ADMIN_URL")
    with ExitStack() as opened:
        for number, entry in enumerate(entries, 1):
            store = cdnow_store(LAST_DAY, customers=10, ids_after=number * 1_000)
            store.shop.update(id=f"gid://shopify/Shop/{number}", myshopifyDomain=f"{entry['store']}.myshopify.com")
            entry["admin_url"] = f"{opened.enter_context(Shop(store).serve()).url}/admin"
            if "access_token_env" not in entry:  # a Dev Dashboard app, whose grant isn't what this test is about
                entry |= {"access_token_env": "SHOPIFY_A_TOKEN"}
                entry.pop("client_id_env", None)
                entry.pop("client_secret_env", None)
            project.environment[entry["access_token_env"]] = "shpat_sandbox"
        set_up(project, block)
        said = project.succeed(PREVIEW, "run", "sync")
    assert [entry["store"] for entry in entries if f"{entry['store']}.myshopify.com" not in said] == []
    assert "nothing has been sent" in said
