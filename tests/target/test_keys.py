"""Different events under one key: PostHog would keep one of the two."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.delivery.keys import Keys
from target_posthog.errors import RunError
from target_posthog.mapping.event import Maker

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.posthog import PostHog

    from .conftest import Runs

SALE, OTHER = Maker("sales", "Sale", "Sale"), Maker("invoices", "Invoice", "Sale")
FIELDS = {"id": {}, "buyer": {}, "total": {}, "at": {"format": "date-time"}}
RULE = {"event": "Sale", "distinct_id": ["buyer"], "timestamp": "at", "key": ["id"], "properties": {"total": "total"}}

FULL = """
import resource
from target_posthog.delivery.keys import Keys
from target_posthog.errors import RunError
from target_posthog.mapping.event import Maker
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
keys = Keys()
try:
    for number in range(200_000):
        keys.note(str(number), Maker("sales", "Sale", "Sale"), number, number)
        if number % 5_000 == 0:
            keys.clash()
except RunError as error:
    print(error)
"""


def stream(name: str, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    schema = {"type": "SCHEMA", "stream": name, "key_properties": ["id"], "schema": {"properties": FIELDS}}
    at = {"buyer": "jane", "at": "2026-11-01T00:00:00Z"}
    return [schema, *({"type": "RECORD", "stream": name, "record": {**at, **row}} for row in rows)]


@pytest.mark.parametrize("between", [False, True])
def test_two_records_that_differ_and_share_a_key_are_found(between: bool) -> None:  # noqa: FBT001  # a parameter
    keys = Keys()
    assert keys.note("u1", SALE, record=1, content=10) is None
    found = keys.clash() if between else None
    found = found or keys.note("u1", OTHER, record=2, content=11) or keys.clash()
    assert found is not None
    assert (found.first, found.second) == (SALE, OTHER)


def test_the_same_record_again_and_the_same_event_of_another_are_no_clash() -> None:
    keys = Keys()
    for record, content in ((1, 10), (1, 11), (2, 10)):
        assert keys.note("u1", SALE, record, content) is None
        assert keys.clash() is None


def test_a_key_that_two_records_share_ends_the_run_before_anything_of_it_is_sent(runs: Runs, posthog: PostHog) -> None:
    sales = stream("sales", {"id": 1, "total": 5}, {"id": 2, "total": 6})
    with pytest.raises(RunError) as ended:
        runs.here(*sales, mappings={"sales": [{**RULE, "key": ["buyer"]}]})
    assert str(ended.value) == (
        "rule `Sale` of stream `sales`, of two records, makes different events `Sale` under one key, of which PostHog "
        "would keep one; give `key` what tells them apart, or the events different names"
    )
    assert posthog.events() == []


def test_two_streams_whose_events_share_name_and_key_are_both_named(runs: Runs) -> None:
    told = [*stream("sales", {"id": 1, "total": 5}), *stream("invoices", {"id": 1, "total": 6})]
    with pytest.raises(RunError, match="rule `Sale` of stream `sales` and rule `Sale` of stream `invoices` make"):
        runs.here(*told, mappings={"sales": [RULE], "invoices": [RULE]})


def test_two_items_of_one_record_that_share_a_key_set_it_aside(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    told = stream("sales", {"id": 1, "total": [5, 6]})
    rules = {"sales": [{**RULE, "for_each": "total", "properties": {"total": "item"}}]}
    with pytest.raises(RunError, match="rule `Sale` of stream `sales` made different events `Sale` of it under one"):
        runs.here(*told, mappings=rules)
    runs.here(*told, mappings=rules, dead_letter_path=str(tmp_path / "dead"))
    assert posthog.events() == []


def test_a_full_folder_for_temporary_files_is_named() -> None:
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("The folder for temporary files, TMPDIR, says "), done.stderr


def test_a_record_that_is_read_again_in_another_state_is_one_event(runs: Runs, posthog: PostHog) -> None:
    runs.here(*stream("sales", {"id": 1, "total": 5}, {"id": 1, "total": 6}), mappings={"sales": [RULE]})
    assert len(posthog.events()) == 1
