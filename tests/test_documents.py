"""What the documents say is what the code does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from docs.generate import PLUGINS, ROOT, documents

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", documents(), ids=str)
def test_the_generated_parts_are_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text() == documents()[path], "run `make docs`"


@pytest.mark.parametrize(("plugin_type", "name"), [("extractors", "tap-shopify-orders"), ("loaders", "target-posthog")])
def test_meltano_knows_what_a_plugin_can(plugin_type: str, name: str) -> None:
    (plugin,) = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"][plugin_type]
    said = {capability.value for capability in PLUGINS[name].capabilities}
    assert set(plugin["capabilities"]) == said
