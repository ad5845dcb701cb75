"""What depends on what was sent before: events that aren't final, that complete others, that take money back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.errors import RunError
from target_posthog.mapping.meanings import Meanings
from tests.target.test_receipts import Receipted
from tests.target.test_receipts_commands import Commands

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog
    from target_posthog.mapping.language.functions import JSON

MAPPING = """
records:
  sales:
    id: concat('gid://shop/Sale/', id)
    keeps_person: true
    in_events: {id: sale_id}
    adds_up: [net, taxes]
    carries: [currency]
streams:
  sales:
    - event: Sale
      delete: Sale Deleted
      provisional:
        no_ledger: {while: "!ledger", sent_again: true}
        unattributed: {while: "!source"}
      distinct_id: [email, "concat('sale:', id)"]
      timestamp: at
      key: [id]
      properties:
        sale_id: concat(id)
        net: number(ledger.net)
        taxes: number(ledger.taxes)
        total: number(total)
        source: source
        currency: currency
      set: {last: id}
    - event: Sale Attributed
      completes: {Sale: unattributed}
      when: source
      distinct_id: [email]
      timestamp: attributed_at || at
      key: [id]
      properties: {sale_id: concat(id), source: source}
    - event: Sale Edited
      for_each: edits
      distinct_id: [email]
      timestamp: item.at
      key: [id, item.id]
      properties: {sale_id: concat(id), net: number(item.net), currency: currency}
"""
FIELDS = ("id", "email", "at", "total", "currency", "ledger", "source", "attributed_at", "edits")
SCHEMA = {
    "type": "SCHEMA",
    "stream": "sales",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": {name: {} for name in FIELDS}},
}
LEDGER = {"net": "90.10", "taxes": "9.01"}


def sale(number: int = 1, **more: JSON) -> dict[str, Any]:
    record = {"id": number, "email": "jane@example.com", "at": "2026-10-02T10:00:00Z", "total": "99.11", **more}
    return {"type": "RECORD", "stream": "sales", "record": {"currency": "USD", **record}}


def deleted(number: int = 1) -> dict[str, Any]:
    return {"type": "RECORD", "stream": "sales", "record": {"id": number, "_sdc_deleted_at": "2026-10-20T08:00:00Z"}}


class Sales(Receipted):
    """Runs over sales, with the mapping above."""

    def __init__(self, runs: Runs, posthog: PostHog, receipts: str, mapping: Path) -> None:
        super().__init__(runs, posthog, receipts)
        mapping.write_text(MAPPING)
        self.mapping = str(mapping)

    def sent(self, *records: dict[str, Any], **settings: JSON) -> list[dict[str, Any]]:
        """Run, and return the events that crossed the wire."""
        before = self.seen
        whole = {"receipts": self.receipts, "mapping": self.mapping, **settings}
        target = self.runs.here(SCHEMA, *records, **{name: value for name, value in whole.items() if value})
        self.summary = target.destination.summary.as_json(target.destination._client)  # noqa: SLF001  # its counts
        arrived = self.posthog.events()  # nothing is merged meanwhile
        self.seen = len(arrived)
        return arrived[before:]


def named(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def money(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event["properties"].get(name) for name in ("net", "taxes", "currency")}


@pytest.fixture(params=["file", "database"])
def sales(request: pytest.FixtureRequest, runs: Runs, posthog: PostHog, tmp_path: Path) -> Sales:
    receipts = str(tmp_path / "receipts.sqlite")
    if request.param == "database":
        receipts = request.getfixturevalue("database_of_receipts")
    return Sales(runs, posthog, receipts, tmp_path / "mapping.yaml")


# What isn't final.


def test_an_event_without_a_ledger_is_sent_again_as_the_same_fact_when_the_ledger_is_there(sales: Sales) -> None:
    (first,) = sales.sent(sale(source="ad"))
    assert (first["properties"]["total"], first["properties"].get("net")) == (99.11, None)
    assert sales.summary["provisional"] == [{"event": "Sale", "reason": "no_ledger", "events": 1}]
    assert sales.sent(sale(source="ad", total="1")) == [], "it lacks the ledger still"
    edit = {"id": 7, "at": "2026-10-03T10:00:00Z", "net": "5"}
    link, again, edited = sales.sent(sale(source="ad", ledger=LEDGER, email="other@example.com", edits=[edit]))
    assert link["event"] == "$identify"
    same = ("uuid", "event", "distinct_id", "timestamp")
    assert [again[name] for name in same] == [first[name] for name in same]
    assert money(again) == {"net": 90.1, "taxes": 9.01, "currency": "USD"}
    assert "$set" not in again["properties"], "the person may be another by now"
    assert edited["event"] == "Sale Edited"
    assert sales.sent(sale(source="ad", ledger=LEDGER)) == []
    assert sales.summary["events"]["Sale"]["already_there"] == 1


def test_one_that_would_come_under_another_day_is_not_sent_again(sales: Sales) -> None:
    sales.sent(sale(source="ad"))
    assert sales.sent(sale(source="ad", ledger=LEDGER, at="2026-10-09T10:00:00Z")) == []
    assert sales.summary["events"]["Sale"]["not_resent"] == 1


def test_one_that_is_refused_the_second_time_is_tried_in_the_next_run(
    sales: Sales, posthog: PostHog, tmp_path: Path
) -> None:
    sales.sent(sale(source="ad"))
    posthog.verdicts = {"Sale": ["drop:event_too_big"]}
    letters = {"dead_letter_path": str(tmp_path / "letters.jsonl")}
    assert sales.sent(sale(source="ad", ledger=LEDGER), **letters) == []
    posthog.verdicts = {}
    assert named(sales.sent(sale(source="ad", ledger=LEDGER))) == ["Sale"]
    assert sales.sent(sale(source="ad", ledger=LEDGER)) == []


def test_what_completes_an_event_is_sent_once_and_only_where_that_one_lacked_it(sales: Sales) -> None:
    assert named(sales.sent(sale(1, ledger=LEDGER), sale(2, ledger=LEDGER, source="ad"))) == ["Sale", "Sale"]
    both = [sale(number, ledger=LEDGER, source="ad") for number in (1, 2)]
    (attributed,) = sales.sent(*both)
    assert (attributed["event"], attributed["properties"]["sale_id"]) == ("Sale Attributed", "1")
    assert sales.sent(*both) == []


def test_what_completes_an_event_of_the_same_run_follows_it(sales: Sales) -> None:
    assert named(sales.sent(sale(ledger=LEDGER), sale(ledger=LEDGER, source="ad"))) == ["Sale", "Sale Attributed"]


def test_an_event_that_lacks_both_gets_both(sales: Sales) -> None:
    sales.sent(sale())
    assert {one["reason"] for one in sales.summary["provisional"]} == {"no_ledger", "unattributed"}
    assert named(sales.sent(sale(source="ad"))) == ["Sale Attributed"]
    assert named(sales.sent(sale(source="ad", ledger=LEDGER))) == ["Sale"]


def test_without_receipts_nothing_is_completed_and_nothing_taken_back(sales: Sales) -> None:
    sales.sent(sale(), receipts=None)
    assert named(sales.sent(sale(source="ad"), receipts=None)) == ["Sale"]
    (gone,) = sales.sent(deleted(), receipts=None)
    assert (gone["event"], gone["distinct_id"], money(gone)["net"]) == ("Sale Deleted", "sale:1", None)
    assert sales.summary["without_amounts"] == {"Sale Deleted": 1}


def test_a_preview_says_that_nothing_is_to_be_completed(sales: Sales, tmp_path: Path) -> None:
    sales.sent(sale(1, ledger=LEDGER), sale(2, ledger=LEDGER, source="ad"))
    preview = tmp_path / "preview.sqlite"
    both = [sale(number, ledger=LEDGER, source="ad") for number in (1, 2)]
    sales.runs.here(SCHEMA, *both, mapping=sales.mapping, receipts=sales.receipts, preview_path=str(preview))
    tools = Commands(sales)
    explained = [tools.run("explain", str(number), "--preview-path", str(preview)) for number in (1, 2)]
    assert "+ makes `Sale Attributed`" in explained[0]
    assert "- makes `Sale Attributed`: no event was sent that it would complete" in explained[1]


# What was sent of a record that is gone.


def test_what_was_sent_of_a_deleted_record_is_taken_back_under_its_id_on_the_day_of_the_deletion(sales: Sales) -> None:
    edits: list[JSON] = [{"id": 7, "at": "2026-10-03T10:00:00Z", "net": "-20.05"}]
    sales.sent(sale(ledger=LEDGER, source="ad", edits=edits))
    (gone,) = sales.sent(deleted())
    assert (gone["event"], gone["distinct_id"], gone["timestamp"][:10]) == (
        "Sale Deleted",
        "jane@example.com",
        "2026-10-20",
    )
    assert money(gone) == {"net": -70.05, "taxes": -9.01, "currency": "USD"}
    assert "$process_person_profile" not in gone["properties"], "it belongs to the person as the others do"
    assert sales.summary["without_amounts"] == {}
    assert sales.sent(deleted()) == []


def test_what_is_sent_in_the_same_run_is_taken_back_too(sales: Sales) -> None:
    first, gone, other = sales.sent(sale(1, ledger=LEDGER), deleted(1), sale(2, ledger=LEDGER))
    assert named([first, gone, other]) == ["Sale", "Sale Deleted", "Sale"] or named([first, gone, other]) == [
        "Sale",
        "Sale",
        "Sale Deleted",
    ]
    (gone,) = (event for event in (first, gone, other) if event["event"] == "Sale Deleted")
    assert money(gone)["net"] == -90.1


def test_two_rules_that_say_a_record_is_gone_take_its_money_back_once(sales: Sales) -> None:
    ids = ["email", "concat('sale:', id)"]
    rules: JSON = {"sales": [{"extends": "Sale Attributed", "delete": "Sale Gone", "distinct_id": ids}]}
    sales.sent(sale(ledger=LEDGER, source="ad"), mappings=rules)
    sent = sales.sent(deleted(), mappings=rules)
    assert sorted(named(sent)) == ["Sale Deleted", "Sale Gone"]
    assert sorted(money(event)["net"] or 0 for event in sent) == [-90.1, 0]
    assert sales.sent(deleted(), mappings=rules) == []


def test_of_a_fact_that_was_sent_twice_the_last_amounts_count(sales: Sales) -> None:
    sales.sent(sale(source="ad", ledger={"net": "1", "taxes": "1"}))
    tools = Commands(sales)
    tools.run("resend", "--event", "Sale", "--yes")
    sales.sent(sale(source="ad", ledger=LEDGER))
    (gone,) = sales.sent(deleted())
    assert (money(gone)["net"], money(gone)["taxes"]) == (-90.1, -9.01)


def test_what_posthog_refused_is_not_taken_back(sales: Sales, posthog: PostHog, tmp_path: Path) -> None:
    posthog.verdicts = {"Sale Edited": ["drop:event_too_big"]}
    edit = {"id": 7, "at": "2026-10-03T10:00:00Z", "net": "1000"}
    letters = {"dead_letter_path": str(tmp_path / "letters.jsonl")}
    sales.sent(sale(source="ad", ledger=LEDGER, edits=[edit]), **letters)
    (gone,) = sales.sent(deleted())
    assert money(gone)["net"] == -90.1


def test_of_a_record_of_which_nothing_was_sent_no_deletion_is_sent(
    sales: Sales, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    sales.sent(sale(1, ledger=LEDGER))
    assert sales.sent(deleted(9)) == []
    assert (sales.summary["never_sent"], sales.summary["without_amounts"]) == ({"Sale Deleted": 1}, {})
    assert "Sale Deleted: 1 weren't sent, for no receipt says that anything was sent of their records" in caplog.text
    preview = tmp_path / "preview.sqlite"
    places = {"mapping": sales.mapping, "receipts": sales.receipts, "preview_path": str(preview)}
    sales.runs.here(SCHEMA, sale(2, ledger=LEDGER), deleted(1), deleted(2), deleted(9), **places)
    tools = Commands(sales)
    assert "2 Sale Deleted" in " ".join(tools.run("plan", "--preview-path", str(preview)).split())
    explained = [tools.run("explain", number, "--preview-path", str(preview)) for number in ("1", "9")]
    assert "anything was sent" not in explained[0]
    assert "no receipt says that anything was sent of the record" in explained[1]
    sales.sent(sale(2, ledger=LEDGER), deleted(1), deleted(2), deleted(9))
    assert sales.summary["events"]["Sale Deleted"]["accepted"] == 2


def test_a_deletion_is_sent_where_receipts_do_not_reach_back_to_the_beginning(sales: Sales) -> None:
    sales.sent(sale(1, ledger=LEDGER))
    Commands(sales).run("receipts", "rebuild", "--retention-months", "240", TARGET_POSTHOG_MAPPING=sales.mapping)
    (gone,) = sales.sent(deleted(9))
    assert money(gone) == {"net": None, "taxes": None, "currency": None}
    assert (sales.summary["never_sent"], sales.summary["without_amounts"]) == ({}, {"Sale Deleted": 1})


def test_a_deletion_that_posthog_has_already_is_not_said_to_take_nothing_back(sales: Sales) -> None:
    sales.sent(sale(total=None))
    sales.sent(deleted())
    assert sales.sent(deleted()) == []
    assert sales.summary["events"]["Sale Deleted"]["already_there"] == 1
    assert sales.summary["without_amounts"] == {}


@pytest.mark.parametrize("way", ["merge", "rebuild"])
def test_money_and_what_is_not_final_move_to_another_store(sales: Sales, tmp_path: Path, way: str) -> None:
    edits: list[JSON] = [{"id": 7, "at": "2026-10-03T10:00:00Z", "net": "-20.05"}]
    sales.sent(sale(ledger=LEDGER, edits=edits))
    tools = Commands(sales)
    file = tmp_path / "receipts.jsonl"
    tools.run("receipts", "export", str(file))
    sales.receipts = tools.environment["TARGET_POSTHOG_RECEIPTS"] = str(tmp_path / "other.sqlite")
    if way == "merge":
        assert "2 receipts are new" in tools.run("receipts", "merge", str(file))
        assert named(sales.sent(sale(ledger=LEDGER, edits=edits, source="ad"))) == ["Sale Attributed"]
    else:
        done = tools.run("receipts", "rebuild", TARGET_POSTHOG_MAPPING=sales.mapping)
        assert "PostHog has 2 events of ours; 2 receipts are new" in done
    (gone,) = sales.sent(deleted())
    assert (gone["distinct_id"], money(gone)) == (
        "jane@example.com",
        {"net": -70.05, "taxes": -9.01, "currency": "USD"},
    )


def test_what_a_record_is_about_may_have_another_name_since(sales: Sales, tmp_path: Path) -> None:
    edits: list[JSON] = [{"id": 7, "at": "2026-10-03T10:00:00Z", "net": "-20.05"}]
    both = [sale(number, ledger=LEDGER, edits=edits) for number in (1, 2)]
    sales.sent(*both)
    renamed = tmp_path / "renamed.yaml"
    renamed.write_text(MAPPING.replace("gid://shop/Sale/", "gid://elsewhere/Sale/"))
    assert sales.sent(*both, mapping=str(renamed)) == []
    edits.append({"id": 8, "at": "2026-10-04T10:00:00Z", "net": "1"})
    assert named(sales.sent(*both, mapping=str(renamed))) == ["Sale Edited", "Sale Edited"]
    assert sales.sent(*both, mapping=str(renamed)) == []


def test_records_without_keys_have_receipts_too(sales: Sales, tmp_path: Path) -> None:
    keyless = {**SCHEMA, "key_properties": []}
    mapping = tmp_path / "keyless.yaml"
    mapping.write_text("streams:" + MAPPING.partition("streams:")[2])
    for expected in (["Sale", "Sale"], []):
        before = sales.seen
        settings = {"receipts": sales.receipts, "mapping": str(mapping)}
        sales.runs.here(keyless, sale(1, ledger=LEDGER), sale(2, ledger=LEDGER), **settings)
        arrived = sales.posthog.events()
        assert named(arrived[before:]) == expected
        sales.seen = len(arrived)


# What is wrong with a rule.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"provisional": {"two words": {"while": "a"}}}, "`provisional` has reasons, each a word with `while`"),
        ({"provisional": {"late": "a"}}, "`provisional` has reasons"),
        ({"provisional": {"late": {"while": "a", "again": True}}}, "`provisional` has reasons"),
        ({"completes": {"Nothing": "late"}}, "`completes` names a rule of the stream"),
        ({"completes": "Sale"}, "`completes` names a rule of the stream"),
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_meant_is_named(change: dict[str, JSON], words: str) -> None:
    rule = {"event": "Sale", "distinct_id": "a", "timestamp": "b", "key": ["c"], **change}
    settings = {"mapping": "none", "mappings": {"sales": [rule]}, "identity": "email", "unmapped": "event"}
    with pytest.raises(RunError, match=f"rule `Sale` of stream `sales`: {words}"):
        Meanings({**settings, "groups": False})
