"""The tables of docs/scale.md follow from each other and from the code."""

from __future__ import annotations

import json
import re

from docs.generate import PLUGINS, definition
from orchestrate.dags.store_runs import store_runs
from tests.orchestrate import scale
from tests.pipeline.meltano_project import ROOT

PAGE = (ROOT / "docs" / "scale.md").read_text()


def part(name: str) -> list[str]:
    """The lines of a generated part."""
    found = re.search(rf"<!-- {name}, written by [^\n]*\n(.*?)<!-- end of {name} -->", PAGE, re.DOTALL)
    assert found, name
    return found[1].splitlines()


def test_the_arithmetic_follows_from_the_figures() -> None:
    rows = [scale.Row.read(line) for line in part("figures")[2:]]
    assert [row.run for row in rows] == [scale.FIRST, scale.AGAIN, scale.TOGETHER]
    assert part("figures") == scale.measured(rows)
    assert part("arithmetic") == scale.arithmetic(rows)


def test_a_row_is_read_as_it_is_written() -> None:
    row = scale.Row(scale.AGAIN, 8, 1234.5, 2.25, 95, 7.0, 148.0)
    assert scale.Row.read(scale.measured([row])[2]) == row


def test_history_takes_as_long_as_posthog_needs() -> None:
    rows = [scale.Row(run, 8, 10.0, 3.6, 100, 7.0, 148.0) for run in (scale.AGAIN, scale.TOGETHER)]
    (line,) = (line for line in scale.arithmetic(rows) if "into PostHog" in line)
    assert line.endswith("| 26 s | 0.7 h | 73.6 h |"), "10,000 orders x 5.3 events x stores / 2,000 per second"
    (line,) = (line for line in scale.arithmetic(rows) if "a run per store" in line)
    assert line.endswith("| 0.00 cores | 0.10 cores | 10.00 cores |")


def test_the_rate_is_that_of_the_pool_and_of_the_target() -> None:
    (pool,) = json.loads((ROOT / "orchestrate" / "pools.json").read_text()).values()
    assert pool["slots"] == scale.HISTORICAL_EVENTS_PER_SECOND


def test_meltano_knows_each_setting_that_a_run_sets() -> None:
    (run,) = store_runs([{"store": "acme"}], 40)
    known = {
        f"{plugin['name']}_{setting['name']}".replace("-", "_").upper()
        for plugin in map(definition, PLUGINS)
        for setting in plugin["settings"]
    }
    assert {name for name in run if not name.startswith("MELTANO_")} <= known
