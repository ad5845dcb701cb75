"""The page of a preview over HTTP: the same figures as a run, and each record explained."""

from __future__ import annotations

import html
import json
import re
import signal
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.posthog.preview import Preview
from sandbox.posthog.preview_file import NotAPreviewError, PreviewFile
from sandbox.posthog.totals import totals_of
from tests.page.conftest import preview_of, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.posthog import PostHog

ROOT = Path(__file__).parent.parent.parent
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"

SALE = {"event": "Sale", "distinct_id": "id", "timestamp": "'2026-11-01'", "key": ["id"]}
SALES = {"type": "SCHEMA", "stream": "sales", "key_properties": ["id"], "schema": {"properties": {"id": {}}}}


def get(preview: Preview, path: str, **asked: str | int) -> str:
    answer = requests.get(f"{preview.url}{path}", params=asked, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.text


def words(text: str) -> str:
    """What a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_a_preview_holds_what_a_run_of_the_same_records_brings(previewed: Preview, filled: PostHog) -> None:
    would, does = totals_of(previewed.database), totals_of(filled.database)
    assert (would.events, would.persons, would.net_sales, would.total_sales) == (
        does.events,
        does.persons,
        does.net_sales,
        does.total_sales,
    )
    ids = lambda database: sorted(sorted(one.distinct_ids) for one in database.persons())  # noqa: E731  # one expression
    assert ids(previewed.database) == ids(filled.database)


def test_the_plans_figures_are_those_of_the_page(previewed: Preview) -> None:
    plan, totals = previewed.file.plan, totals_of(previewed.database)
    assert plan["time_zone"] == "America/New_York"
    assert {name: one["count"] for name, one in plan["events"].items()} == totals.events
    assert plan["persons"]["persons"] == totals.persons
    sales = {name for name, one in plan["events"].items() if one["properties"].get("net_sales")}
    net = {
        currency: sum(Decimal(amount) for name, amount in one.items() if name in sales)
        for currency, one in plan["money"].items()
    }
    assert net == totals.net_sales
    assert (plan["historical"], plan["oldest"], plan["newest"]) == (totals.historical, totals.oldest, totals.newest)
    said = words(get(previewed, "/"))
    assert f"PostHog would bill {plan['bill']['events']:,}" in said
    assert f"{plan['bill']['identified']:,} identified, {plan['bill']['anonymous']:,} anonymous" in said
    for one in plan["left_out"]:
        assert f"Left out: {one['reason']} {one['stream']} {one['records']:,} {', '.join(one['examples'])}" in said
    for one in plan["warnings"]:
        assert one["text"].replace("`", "").split(":")[0] in said
    for one in plan["personal"]:
        assert re.search(rf"\b{re.escape(one['name'])} (in|on) the [a-z, ]+ {one['events']:,}\b", said), one


def test_each_sample_leads_to_its_event_and_its_record(previewed: Preview) -> None:
    text = get(previewed, "/")
    for name, one in previewed.file.plan["events"].items():
        uuid = one["sample"]["event"]["uuid"]
        record = previewed.file.record_of_event(uuid)
        assert record is not None
        assert f"/events/{uuid}" in text
        assert f"/records/{record.number}" in text
        assert name in words(get(previewed, f"/records/{record.number}"))
        assert f"/records/{record.number}" in get(previewed, f"/events/{uuid}")


def test_records_are_listed_by_what_becomes_of_them_a_page_at_a_time(previewed: Preview) -> None:
    plan = previewed.file.plan
    for asked, expected in (
        ({"stream": "customers"}, plan["records"]["customers"]),
        ({"left_out": "test orders"}, plan["left_out"][0]["records"]),
        ({"undeliverable": 1}, 0),
        ({}, sum(plan["records"].values())),
    ):
        found, after = 0, 0
        while True:
            text = get(previewed, "/records", after=after, **asked)
            numbers = [int(one) for one in re.findall(r'rowheader"><a href="/records/(\d+)"', text)]
            assert numbers == sorted(numbers)
            found += len(numbers)
            if 'rel="next"' not in text:
                break
            after = numbers[-1]
        assert found == expected, asked


def test_a_record_is_found_by_what_people_call_it(previewed: Preview) -> None:
    (order, *_) = previewed.file.records("orders", "test orders", undeliverable=False, eventless=False, after=0)
    for wanted in (order.name, order.name.lstrip("#"), order.key_name):
        answer = requests.get(f"{previewed.url}/search", params={"q": wanted}, timeout=30)
        assert answer.url.endswith(f"/records/{order.number}"), wanted


def test_no_masked_record_shows_anything_personal(previewed: Preview) -> None:
    checked = 0
    for number in range(1, sum(previewed.file.plan["records"].values()) + 1, 7):
        record = previewed.file.record(number)
        assert record is not None
        said = words(get(previewed, f"/records/{number}", masked=1)).casefold()
        for value in record.personal:
            checked += 1
            assert not re.search(rf"(?<!\w){re.escape(value.casefold())}(?!\w)", said), (number, value)
    assert checked > 50


def test_nothing_can_be_sent_to_a_preview(previewed: Preview) -> None:
    before = totals_of(previewed.database)
    for path in ("/batch/", "/i/v1/analytics/events", "/flags/"):
        assert requests.post(f"{previewed.url}{path}", json={}, timeout=30).status_code == 404
    assert totals_of(previewed.database) == before


def test_no_page_of_a_preview_stays_in_a_cache_or_runs_scripts(previewed: Preview) -> None:
    for path in ("/", "/records", "/records/1", "/records/1?masked=1", "/api/totals", "/api/events"):
        answer = requests.get(f"{previewed.url}{path}", timeout=30)
        assert answer.headers["Cache-Control"] == "no-store", path
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", answer.text) or path.startswith("/api"), path


def lines(*messages: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in messages)


SCHEMA = {
    "type": "SCHEMA",
    "stream": HOSTILE,
    "schema": {"properties": {"id": {}, HOSTILE: {}}},
    "key_properties": ["id"],
}


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Preview]:
    """Records and rules with markup in every name and value."""
    record = {"id": HOSTILE, HOSTILE: [{HOSTILE: HOSTILE}]}
    rules = [
        {"leave_out": f"{HOSTILE} left out", "when": "id == 'never'"},
        {"event": HOSTILE, "distinct_id": "id", "timestamp": "'2026-11-01'", "key": ["id"], "properties": "@"},
    ]
    messages = lines(SCHEMA, {"type": "RECORD", "stream": HOSTILE, "record": record})
    with Preview(preview_of(tmp_path, messages, mappings={HOSTILE: rules})).serve() as served:
        yield served


def test_hostile_text_is_shown_as_text(hostile: Preview) -> None:
    for path in ("/", "/records", "/records/1", "/records/1?masked=1", "/search?q=x", "/events"):
        text = get(hostile, path)
        assert "<script" not in text, path
        assert "alert(1)" in text or path == "/search?q=x", path


def test_what_is_there_already_stands_beside_what_would_arrive(tmp_path: Path, posthog: PostHog) -> None:
    rule = {"event": "Sale", "distinct_id": "id", "timestamp": "at", "key": ["id"]}
    schema = {"type": "object", "properties": {"id": {}, "at": {}}}
    first, second = (
        {"type": "RECORD", "stream": "sales", "record": {"id": number, "at": "2026-11-01T00:00:00Z"}}
        for number in ("first", "second")
    )
    head = {"type": "SCHEMA", "stream": "sales", "key_properties": ["id"], "schema": schema}
    settings = {"mappings": {"sales": [rule]}, "receipts": str(tmp_path / "receipts.sqlite"), "api_key": "phc_sandbox"}
    run(tmp_path, "target-posthog", {**settings, "host": posthog.url}, lines(head, first))
    with Preview(preview_of(tmp_path, lines(head, first, second), **settings)).serve() as served:
        assert totals_of(served.database).events == {"Sale": 1}
        assert "Sale 1 1 already there" in words(get(served, "/"))
        assert "Sale already there" in words(get(served, "/records/1"))
        assert "already there" not in words(get(served, "/records/2"))


def test_a_preview_without_events_says_so(tmp_path: Path) -> None:
    messages = lines(SCHEMA, {"type": "RECORD", "stream": HOSTILE, "record": {"id": 1}})
    with Preview(preview_of(tmp_path, messages, unmapped="ignore")).serve() as served:
        said = words(get(served, "/"))
        assert "What a run would send Nothing : no record of this preview becomes an event." in said
        assert "No rule is about this stream" in words(get(served, "/records/1"))
        assert requests.get(f"{served.url}/records/2", timeout=30).status_code == 404


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no preview at"),
        (b"", "is no preview"),
        (b"not a database, but long enough to be read", "is no"),
    ],
)
def test_a_file_that_is_no_preview_is_named(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "preview.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotAPreviewError, match=sentence):
        PreviewFile(path)


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path, messages: bytes) -> None:
    preview_of(tmp_path, messages).close()
    command = [sys.executable, "-m", "sandbox", "preview", str(tmp_path / "preview.sqlite"), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        address = served.stdout.readline().split()[0]
        try:
            text = requests.get(address, timeout=30).text
        finally:
            served.send_signal(signal.SIGTERM)
        assert served.wait(timeout=30) == 0
    assert "What a run would send" in text


def test_the_command_says_in_a_sentence_that_there_is_no_preview(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "preview", str(tmp_path / "none.sqlite")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "there is no preview at" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_books_stand_side_by_side_as_the_shop_its_ledger_and_posthog_have_them(previewed: Preview) -> None:
    text = words(get(previewed, "/", currency="USD"))
    said = text.split("The books")[1].split("One of each event")[0]
    sums = totals_of(previewed.database)
    assert said.strip().startswith("✓ They balance.")
    assert "in USD, days of America/New_York" in said
    assert "Shopify's report Its ledger, as read PostHog would hold" in said
    for label, amount in (("Net sales", sums.net_sales["USD"]), ("Total sales", sums.total_sales["USD"])):
        assert f"{label} {amount:,.2f} {amount:,.2f} {amount:,.2f}" in said, label
    for label in ("Gross sales", "Discounts", "Returns (sales reversals)", "Shipping charges", "Taxes"):
        assert label in said
    assert "Days are those of America/New_York." in text
    month = re.search(r"from=(2026-\d\d-01)&amp;to=(2026-\d\d-\d\d)", get(previewed, "/", currency="USD", per="month"))
    assert month is not None
    zoomed = words(get(previewed, "/", currency="USD", **{"from": month[1], "to": month[2]}))
    first, last = (date.fromisoformat(one) for one in month.groups())
    assert f"From 1 {first:%b %Y} to {last.day} {last:%b %Y} in USD" in zoomed


def test_the_number_of_warnings_is_that_of_their_page(previewed: Preview) -> None:
    number = len(previewed.file.plan["warnings"]) + len(previewed.database.warnings())
    assert number
    said = words(get(previewed, "/"))
    assert f"Warnings {number} " in said
    assert said.index("warnings of the plan:" if number > 1 else "warning of the plan:") < said.index("Figures")
    page = get(previewed, "/warnings")
    assert f"<h1>{number} warning" in page
    assert page.count("<li>") == number


def test_a_new_preview_in_the_files_place_is_shown_without_a_restart(tmp_path: Path) -> None:
    records = [{"type": "RECORD", "stream": "sales", "record": {"id": name}} for name in ("first", "second")]
    settings = {"mappings": {"sales": [SALE]}}
    with Preview(preview_of(tmp_path, lines(SALES, records[0]), **settings)).serve() as served:
        assert "1 event of 1 person" in words(get(served, "/"))
        preview_of(tmp_path, lines(SALES, *records), **settings).close()
        assert "2 events of 2 persons" in words(get(served, "/"))
        assert "second" in words(get(served, "/records/2"))
        (tmp_path / "preview.sqlite").unlink()
        assert "2 events of 2 persons" in words(get(served, "/"))


def test_a_preview_of_what_posthog_has_already_is_shown(tmp_path: Path, posthog: PostHog) -> None:
    messages = lines(SALES, {"type": "RECORD", "stream": "sales", "record": {"id": "first"}})
    settings = {"mappings": {"sales": [SALE]}, "receipts": str(tmp_path / "receipts.sqlite")}
    run(tmp_path, "target-posthog", {"api_key": "phc_sandbox", "host": posthog.url, **settings}, messages)
    known = preview_of(tmp_path, messages, api_key="phc_sandbox", host=posthog.url, **settings)
    assert known.plan["events"]["Sale"]["already_there"] == 1
    with Preview(known).serve() as served:
        assert "Nothing : PostHog has the one event of these records already. Previewed at" in words(get(served, "/"))
        for path in ("/records", "/events", "/persons", "/warnings"):
            assert requests.get(f"{served.url}{path}", timeout=10).status_code == 200, path
