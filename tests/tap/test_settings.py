"""Settings from the environment: the process's own before a file's, and a misspelt one is a mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tap_shopify_orders.settings import SETTINGS, misnamed_variables

from .conftest import settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.shop import Shop

    from .conftest import Run


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("START_DAT", "start_date"),
        ("ACCES_TOKEN", "access_token"),
        ("STORES_AT_ONE", "stores_at_once"),
        ("_END_DATE", "end_date"),
        ("STORE_EU", None),  # somebody's own, for the settings to name
        ("STORE2", None),
        ("EU_ACCES_TOKEN", None),
        ("PATH", None),
    ],
)
def test_a_variable_that_misspells_a_setting_is_a_mistake(name: str, meant: str | None) -> None:
    wrong, others = misnamed_variables({f"TAP_SHOPIFY_ORDERS_{name}": "shpat_jane"}, {}, SETTINGS)
    told = f"(TAP_SHOPIFY_ORDERS_{name} in the environment): did you mean `{meant}`?"
    assert [sentence.endswith(told) for sentence in wrong] == [True] * bool(meant)
    assert others == [f"TAP_SHOPIFY_ORDERS_{name}"] * (not meant)
    assert "jane" not in f"{wrong}{others}"


def test_what_may_be_meltanos_another_plugins_or_a_stores_is_left_alone() -> None:
    names = [
        *(name.upper() for name in SETTINGS["properties"]),
        "LOGLEVEL",
        "_SELECT",
        "_CATALOG",
        "EU_STORE",
        "EU__SELECT",
        "TOKEN_OF_EU",
    ]
    config = {"stores": [{"store": "eu", "access_token_env": "TAP_SHOPIFY_ORDERS_TOKEN_OF_EU"}]}
    others = {"SHOPIFY_ACCES_TOKEN": "x", "PATH": "x", "TAP_SHOPIFY_ORDERS_START_DAT": ""}
    environment = {**{f"TAP_SHOPIFY_ORDERS_{name}": "x" for name in names}, **others}
    assert misnamed_variables(environment, config, SETTINGS) == ([], [])


def test_under_meltano_the_plugins_own_name_counts_too() -> None:
    environment = {"MELTANO_EXTRACTOR_NAME": "shop-eu", "SHOP_EU_START_DAT": "2026-01-01", "SHOP_EU_COLOUR": "x"}
    wrong, others = misnamed_variables(environment, {}, SETTINGS)
    assert wrong == [
        "There is no setting `start_dat` (SHOP_EU_START_DAT in the environment): did you mean `start_date`?"
    ]
    assert others == []


def test_a_misspelt_variable_ends_the_run_and_another_is_a_warning(shop: Shop, command: Callable[..., Run]) -> None:
    env = {"TAP_SHOPIFY_ORDERS_START_DAT": "2026-02-03", "TAP_SHOPIFY_ORDERS_COLOUR": "2026-02-03"}
    run = command(settings(shop), env=env)
    assert (run.code, run.messages) == (1, [])
    assert "did you mean `start_date`?" in run.log
    assert "No settings, and not read: TAP_SHOPIFY_ORDERS_COLOUR in the environment." in run.log
    assert "2026-02-03" not in run.log


def test_the_process_own_variables_win_over_a_file_env(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TAP_SHOPIFY_ORDERS_STORE=of-the-file\nTAP_SHOPIFY_ORDERS_METHOD=pages\n")
    code = """if True:
        from tap_shopify_orders.command import environment_config
        from tap_shopify_orders.settings import SETTINGS
        config = environment_config(SETTINGS, "TAP_SHOPIFY_ORDERS_")
        print(config["store"], config["method"])
    """
    environment = {**os.environ, "TAP_SHOPIFY_ORDERS_STORE": "own", "TAP_SHOPIFY_ORDERS_METHOD": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "own pages\n"
