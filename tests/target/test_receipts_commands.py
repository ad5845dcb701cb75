"""`target-posthog receipts` and `resend`: what people do with the receipts on purpose."""

from __future__ import annotations

import json
import re
import stat
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from sandbox.controls import Reply
from target_posthog.commands.group import commands
from tests.target.test_receipts import SCHEMAS, Receipted, customer, order

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog


QUERY = "/api/projects/1/query/"


class Commands:
    """Commands over the receipts of the fixture `runs`."""

    def __init__(self, receipted: Receipted) -> None:
        self.receipted = receipted
        self.environment = {
            "TARGET_POSTHOG_RECEIPTS": receipted.receipts,
            "TARGET_POSTHOG_API_KEY": "phc_sandbox",
            "TARGET_POSTHOG_PERSONAL_API_KEY": "phx_sandbox",
            "TARGET_POSTHOG_PROJECT_ID": "1",
            "TARGET_POSTHOG_HOST": receipted.posthog.url,
        }

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        done = CliRunner().invoke(commands, arguments, env={**self.environment, **environment})
        assert done.exit_code == code, done.output
        return done.output


@pytest.fixture
def receipted(runs: Runs, posthog: PostHog, tmp_path: Path) -> Receipted:
    return Receipted(runs, posthog, str(tmp_path / "receipts.sqlite"))


@pytest.fixture
def tools(receipted: Receipted) -> Commands:
    return Commands(receipted)


ORDERS = [order(number, "jane@example.com") for number in range(1, 4)]


def test_they_are_counted_by_event(tools: Commands) -> None:
    tools.receipted.run(*ORDERS)
    assert tools.run("receipts").splitlines() == [
        "6 events are known to be in PostHog",
        "  Order Completed: 3, from 2026-10-02T10:00:00Z to 2026-10-02T10:00:00Z",
        "  Order Paid: 3, from 2026-10-02T10:00:05Z to 2026-10-02T10:00:05Z",
    ]


def test_a_setting_that_is_missing_is_named(tools: Commands) -> None:
    assert "The setting `receipts` is missing" in tools.run("receipts", "show", code=1, TARGET_POSTHOG_RECEIPTS="")
    assert "The setting `api_key` is missing" in tools.run("receipts", "show", code=1, TARGET_POSTHOG_API_KEY="")


def test_exported_receipts_are_merged_elsewhere_and_nothing_is_sent_again(tools: Commands, tmp_path: Path) -> None:
    tools.receipted.run(*ORDERS)
    file = tmp_path / "receipts.jsonl"
    said = tools.run("receipts", "export", str(file))
    assert said.splitlines()[-1].endswith("It holds personal data (distinct ids): delete it once it is merged")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().splitlines()) == 6
    other = str(tmp_path / "other.sqlite")
    assert "6 receipts are new" in tools.run("receipts", "merge", str(file), TARGET_POSTHOG_RECEIPTS=other)
    assert "0 receipts are new" in tools.run("receipts", "merge", str(file), TARGET_POSTHOG_RECEIPTS=other)
    tools.receipted.receipts = other
    assert tools.receipted.run(*ORDERS) == []
    file.write_text("{}\n")
    assert "a line that isn't a receipt" in tools.run("receipts", "merge", str(file), code=1)


def test_a_place_without_receipts_is_not_taken_for_receipts(tools: Commands, tmp_path: Path) -> None:
    file, nowhere = tmp_path / "receipts.jsonl", tmp_path / "mistyped.sqlite"
    commands_on_receipts = (
        *(("receipts",), ("receipts", "export", str(file)), ("receipts", "forget", "--yes"), ("resend", "--yes")),
        ("receipts", "move", "--old-api-key", "phc_old"),
    )
    for command in commands_on_receipts:
        said = tools.run(*command, code=1, TARGET_POSTHOG_RECEIPTS=str(nowhere))
        assert f"there is no file {nowhere}; a run makes it" in said
        assert not nowhere.exists()
    tools.receipted.run(*ORDERS)
    for command in (("receipts", "export", str(file)), ("receipts", "forget", "--yes")):
        said = tools.run(*command, code=1, TARGET_POSTHOG_API_KEY="phc_mistyped")
        assert "There are no receipts of this project; is `api_key` its key?" in said
    said = tools.run("receipts", "move", "--old-api-key", "phc_typo", code=1, TARGET_POSTHOG_API_KEY="phc_new")
    assert "The old key has no receipts here" in said
    said = tools.run("resend", "--event", "order completed", "--yes", code=1)
    assert "No event `order completed` has a receipt; did you mean `Order Completed`?" in said
    assert not file.exists()
    assert "6 events are known" in tools.run("receipts")


def test_an_export_leaves_the_receipts_and_an_earlier_export_alone(tools: Commands, tmp_path: Path) -> None:
    tools.receipted.run(*ORDERS)
    said = tools.run("receipts", "export", tools.receipted.receipts, code=1)
    assert "name another file to export them to" in said
    assert "6 events are known" in tools.run("receipts")
    earlier = tmp_path / "earlier.jsonl"
    earlier.write_text("kept\n")
    tools.run("receipts", "export", str(earlier), code=1, TARGET_POSTHOG_RECEIPTS=str(earlier))
    assert earlier.read_text() == "kept\n"


def test_what_counts_as_sent_goes_along_with_exported_receipts(tools: Commands, tmp_path: Path) -> None:
    tools.receipted.run(*ORDERS)
    tools.run("receipts", "rebuild", "--retention-months", "72")
    file = tmp_path / "receipts.jsonl"
    tools.run("receipts", "export", str(file))
    tools.receipted.receipts = tools.environment["TARGET_POSTHOG_RECEIPTS"] = str(tmp_path / "other.sqlite")
    assert "6 receipts are new" in tools.run("receipts", "merge", str(file))
    old = order(9, "jane@example.com", processed_at="2019-01-01T00:00:00Z", transactions=[])
    assert tools.receipted.run(*ORDERS, old) == []


@pytest.mark.parametrize(
    "line",
    [
        b"\xff",
        b"[]",
        b'{"floor": "soon"}',
        b'{"uuid": 1}',
        b'{"uuid": "%s", "rule": null, "event": "Sale", "entity": null, "distinct_id": "a", "sent_as": 1, "at": 1}',
        b'{"uuid": "%s", "rule": "r", "event": "Sale", "entity": null, "distinct_id": "a", "sent_as": 1, "at": 1e30}',
    ],
    ids=str,
)
def test_a_line_that_is_no_receipt_is_said_to_be_none(tools: Commands, tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "receipts.jsonl"
    file.write_bytes(line.replace(b"%s", b"44ed93b6-b848-5424-af12-d5f29fdbfa1e") + b"\n")
    assert "a line that isn't a receipt" in tools.run("receipts", "merge", str(file), code=1)


def test_a_path_may_have_blanks_around_it_and_begin_at_home(
    tools: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    tools.receipted.receipts = " ~/receipts.sqlite\n"
    tools.receipted.run(*ORDERS)
    assert [path.name for path in tmp_path.glob("*receipts.sqlite")] == ["receipts.sqlite"]
    assert "6 events are known" in tools.run("receipts", TARGET_POSTHOG_RECEIPTS=tools.receipted.receipts)
    assert not (tmp_path / "~").exists()


def test_a_new_key_gets_the_receipts_of_the_old_one(tools: Commands) -> None:
    tools.receipted.run(*ORDERS)
    tools.run("receipts", "move", TARGET_POSTHOG_API_KEY="phc_new", TARGET_POSTHOG_OLD_API_KEY="phc_sandbox")
    assert "6 events are known" in tools.run("receipts", TARGET_POSTHOG_API_KEY="phc_new")
    assert "0 events are known" in tools.run("receipts")


def test_an_emptied_project_is_forgotten_and_sent_again(tools: Commands) -> None:
    tools.receipted.run(*ORDERS)
    assert "Aborted" in tools.run("receipts", "forget", code=1)
    tools.run("receipts", "forget", "--yes")
    assert len(tools.receipted.run(*ORDERS)) == 6


def test_a_lost_store_is_rebuilt_and_orders_stay_with_their_first_id(tools: Commands, tmp_path: Path) -> None:
    tools.receipted.run(*ORDERS)
    tools.receipted.receipts = tools.environment["TARGET_POSTHOG_RECEIPTS"] = str(tmp_path / "new.sqlite")
    assert "PostHog has 6 events of ours; 6 receipts are new" in tools.run("receipts", "rebuild")
    assert tools.receipted.run(*ORDERS) == []
    later = order(1, "new@example.com", cancelled_at="2026-10-03T10:00:00Z")
    assert ("Order Cancelled", "jane@example.com") in tools.receipted.run(later)


def test_what_posthog_does_not_show_yet_is_found_by_another_rebuilding(
    tools: Commands, posthog: PostHog, tmp_path: Path
) -> None:
    tools.receipted.run(ORDERS[0])
    posthog.hold()
    tools.receipted.run(*ORDERS[1:])
    tools.receipted.receipts = tools.environment["TARGET_POSTHOG_RECEIPTS"] = str(tmp_path / "new.sqlite")
    said = tools.run("receipts", "rebuild")
    assert "2 receipts are new" in said
    assert "run this again a day after the last run and before the next one; it only adds" in said
    posthog.apply(posthog.held())
    assert "PostHog has 6 events of ours; 4 receipts are new" in tools.run("receipts", "rebuild")
    tools.receipted.run(*ORDERS)
    assert len(posthog.held()) == 4, "nothing has come since"


def test_receipts_that_are_there_are_not_rebuilt_a_second_time(tools: Commands, tmp_path: Path) -> None:
    tools.receipted.run(*ORDERS)
    # Of an order the first event is what leads to the others; PostHog doesn't have it any more.
    tools.receipted.posthog.database.ask("DELETE FROM events WHERE event = 'Order Completed'")
    of_nothing = ("--mapping", "none")  # by which no event says which record it came from
    assert "PostHog has 3 events of ours; 0 receipts are new" in tools.run("receipts", "rebuild", *of_nothing)
    assert "6 events are known to be in PostHog" in tools.run("receipts")
    elsewhere, kept = {"TARGET_POSTHOG_RECEIPTS": str(tmp_path / "other.sqlite")}, str(tmp_path / "kept.jsonl")
    assert "3 receipts are new" in tools.run("receipts", "rebuild", *of_nothing, **elsewhere)
    tools.run("receipts", "export", kept, **elsewhere)
    assert "0 receipts are new" in tools.run("receipts", "merge", kept)


def test_receipts_are_rebuilt_with_the_rules_of_the_runs(tools: Commands) -> None:
    tools.receipted.run(*ORDERS)
    rule = {"event": "Mine", "distinct_id": {"customer_id": ["id"]}, "timestamp": "processed_at", "key": ["id"]}
    mappings = json.dumps({"orders": [{"extends": "*"}, rule]})
    said = tools.run("receipts", "rebuild", TARGET_POSTHOG_MAPPINGS=mappings, TARGET_POSTHOG_IDENTITY="customer_id")
    assert "PostHog has 6 events of ours" in said
    said = tools.run("receipts", "rebuild", code=1, TARGET_POSTHOG_MAPPINGS=mappings)
    assert "there is no candidate for `identity: email`" in said


TOO_MUCH = Reply(status=504, body='{"detail": "Query has hit the max execution time before completing."}', path=QUERY)


@pytest.mark.parametrize("attempts", [1, 6])
def test_a_project_too_large_for_one_question_is_asked_by_time(tools: Commands, attempts: int) -> None:
    tools.receipted.run(*ORDERS)
    tools.receipted.posthog.controls.reply_next(*[TOO_MUCH] * attempts)
    said = tools.run("receipts", "rebuild")
    assert "PostHog has 6 events of ours; 0 receipts are new" in said
    tools.receipted.posthog.database.ask("delete from events where event = 'Order Paid'")
    tools.receipted.posthog.controls.reply_next(*[TOO_MUCH] * attempts)
    assert "3 events would be sent again" in tools.run("resend", "--missing", "--yes")


def test_a_posthog_that_can_answer_nothing_is_a_sentence(tools: Commands) -> None:
    tools.receipted.run(*ORDERS)
    tools.receipted.posthog.controls.reply_next(*[TOO_MUCH] * 1_000)
    said = tools.run("receipts", "rebuild", code=1)
    assert "PostHog can't answer even for the one second at" in said
    assert "(HTTP 504: Query has hit the max execution time before completing.)" in said


def test_the_names_that_the_mapping_knows_are_not_asked_for(tools: Commands) -> None:
    """To ask whose an event is takes its properties, and most of a project's events are a web shop's."""
    tools.receipted.run(*ORDERS)
    before = len(tools.receipted.posthog.controls.requests)
    tools.run("receipts", "rebuild")
    requests = [one for one in tools.receipted.posthog.controls.requests[before:] if one.path == QUERY]
    asked = [json.loads(one.body)["query"]["query"] for one in requests]
    (names,) = [query for query in asked if "count() as number" in query]
    assert "event not in ('$create_alias'" in names
    assert "'Order Completed'" in names


def test_what_is_beyond_retention_is_never_sent_again(tools: Commands) -> None:
    tools.run("receipts", "rebuild", "--retention-months", "72")
    old = order(1, "jane@example.com", processed_at="2019-01-01T00:00:00Z", transactions=[])
    assert tools.receipted.run(old) == []
    assert len(tools.receipted.run(*ORDERS)) == 6


def test_facts_are_sent_again_on_purpose_by_name_day_and_record(tools: Commands) -> None:
    tools.receipted.run(*ORDERS)
    said = tools.run("resend", "--event", "Order Completed", "--record", "gid://shopify/Order/2", "--yes")
    assert "1 events would be sent again by the next full refresh; PostHog will show as many twice" in said
    assert tools.receipted.run(*ORDERS) == [("Order Completed", "jane@example.com")]
    assert tools.receipted.run(*ORDERS) == []
    of_a_day = ("--from", "2026-10-02", "--to", "2026-10-02")
    assert "3 events would be" in tools.run("resend", "--event", "Order Paid", *of_a_day, code=1)
    assert "0 events would be" in tools.run("resend", "--from", "2026-10-03")
    backwards = ("--from", "2026-10-03", "--to", "2026-10-02")
    assert "--from is a later day than --to" in tools.run("resend", *backwards, code=1)
    assert "need days such as" in tools.run("resend", "--from", "soon", code=1)
    assert tools.receipted.run(*ORDERS) == [], "nothing was confirmed"


def test_what_would_count_twice_for_ever_is_not_sent_again_unless_told_to(tools: Commands) -> None:
    tools.receipted.run(*ORDERS[:1])
    renamed = {"mappings": {"orders": [{"extends": "Order Completed", "event": "Purchase"}]}}
    tools.run("resend", "--event", "Order Completed", "--yes")
    assert tools.receipted.run(*ORDERS[:1], **renamed) == []
    assert tools.receipted.summary["events"]["Purchase"]["not_resent"] == 1
    tools.run("resend", "--event", "Order Completed", "--as-another", "--yes")
    assert tools.receipted.run(*ORDERS[:1], **renamed) == [("Purchase", "jane@example.com")]


def test_a_fact_that_is_sent_again_says_nothing_of_its_person(tools: Commands, posthog: PostHog) -> None:
    with_set = {"mappings": {"orders": [{"extends": "Order Completed", "set": {"last_order": "name"}}]}}
    tools.receipted.run(*ORDERS[:1], **with_set)
    tools.run("resend", "--event", "Order Completed", "--yes")
    tools.receipted.run(*ORDERS[:1], **with_set)
    again = [event for event in posthog.events() if event["event"] == "Order Completed"]
    assert ["$set" in event["properties"] for event in again] == [True, False]


def test_acknowledged_facts_that_posthog_does_not_show_are_sent_again(tools: Commands) -> None:
    tools.receipted.run(*ORDERS)
    tools.receipted.posthog.database.ask("DELETE FROM events WHERE event = 'Order Paid'")  # PostHog loses them
    said = tools.run("resend", "--missing", "--yes")
    assert "3 events would be sent again by the next full refresh; one that was sent within the last day may be" in said
    tools.receipted.run(*ORDERS)
    names = [event["event"] for event in tools.receipted.posthog.events()]
    assert (names.count("Order Paid"), names.count("Order Completed")) == (3, 3)


def test_facts_that_were_the_oldest_are_missing_too(tools: Commands, posthog: PostHog) -> None:
    tools.receipted.run(*ORDERS)
    posthog.database.ask("DELETE FROM events WHERE event = 'Order Completed'")  # five seconds older than the others
    posthog.key_scopes = frozenset(("query:read",))
    said = tools.run("resend", "--missing", "--yes")
    assert "nothing is missed that is older than the oldest one, of 2026-10-02" in said
    assert "0 events would be sent again" in said
    posthog.key_scopes |= {"project:read"}
    said = tools.run("resend", "--missing", "--yes")
    assert "the oldest" not in said
    assert "3 events would be sent again" in said
    tools.receipted.run(*ORDERS)
    assert [event["event"] for event in posthog.events()].count("Order Completed") == 3


def test_what_is_beyond_retention_is_not_missing(tools: Commands, posthog: PostHog) -> None:
    old = order(9, "jane@example.com", processed_at="2019-01-01T00:00:00Z", transactions=[])
    tools.receipted.run(*ORDERS, old)
    posthog.events_retention_enforced, posthog.event_retention_months = True, 72
    assert "0 events would be sent again" in tools.run("resend", "--missing")
    posthog.events_retention_enforced = False
    posthog.database.ask("DELETE FROM events WHERE day < '2020'")
    assert "1 events would be sent again" in tools.run("resend", "--missing", code=1)


def test_of_an_emptied_project_nothing_is_called_missing(tools: Commands, posthog: PostHog) -> None:
    tools.receipted.run(*ORDERS)
    posthog.database.ask("DELETE FROM events")
    said = tools.run("resend", "--missing", "--yes", code=1)
    assert "PostHog shows no event at all" in said
    assert "`target-posthog receipts forget` lets the next full refresh send everything again" in said
    assert tools.receipted.run(*ORDERS) == []


def test_many_receipts_are_looked_for_in_few_questions(tools: Commands, posthog: PostHog) -> None:
    tools.receipted.run(*(order(number, "jane@example.com", transactions=[]) for number in range(1, 1_202)))
    posthog.database.ask("DELETE FROM events WHERE event = 'Order Completed' AND properties LIKE '%\"#1100\"%'")
    posthog.controls.reset()
    assert "1 events would be sent again" in tools.run("resend", "--missing", "--yes")
    questions = [request for request in posthog.controls.requests if request.path.endswith("/query/")]
    assert len(questions) == 2, "when the oldest is from, and which there are"


@pytest.mark.parametrize("place", ["file", "database"])
def test_lost_persons_and_links_are_sent_again_once(
    tools: Commands, posthog: PostHog, place: str, request: pytest.FixtureRequest
) -> None:
    if place == "database":
        url = request.getfixturevalue("database_of_receipts")
        tools.receipted.receipts = tools.environment["TARGET_POSTHOG_RECEIPTS"] = url
    records = (customer(7, "jane@example.com", first_name="Jane"), order(1, None), order(2, "jane@example.com"))
    known = order(1, "jane@example.com")  # whose buyer becomes known, and is linked
    tools.receipted.run(*records, known)
    before = persons_of(posthog)
    posthog.database.ask("DELETE FROM persons")
    posthog.database.ask("DELETE FROM distinct_ids")
    assert "0 events would be sent again" in tools.run("resend", "--missing", "--yes")
    said = tools.run("resend", "--persons", "--yes")
    assert re.match(r"\d descriptions of persons and groups, and links, would be sent again", said)
    sent = tools.receipted.run(*records, known)
    assert {event for event, _ in sent} == {"$identify"}
    assert persons_of(posthog) == before
    assert tools.receipted.run(*records, known) == []
    said = tools.run("resend", "--persons", "--missing", "--yes", code=1)
    assert "--persons is for all persons, and goes with no other choice" in said


def persons_of(posthog: PostHog) -> list[tuple[list[str], object]]:
    return sorted((sorted(one["distinct_ids"]), one["properties"].get("first_name")) for one in posthog.persons())


def test_what_is_sent_again_as_missing_hints_at_persons(tools: Commands, posthog: PostHog) -> None:
    tools.receipted.run(*ORDERS)
    assert "--persons" not in tools.run("resend", "--missing", "--yes")
    posthog.database.ask("DELETE FROM events WHERE event = 'Order Paid'")
    assert "`resend --persons` has all sent again" in tools.run("resend", "--missing", "--yes")


def test_of_what_posthog_does_not_show_some_can_be_chosen(tools: Commands) -> None:
    tools.receipted.run(*ORDERS)
    tools.receipted.posthog.database.ask("DELETE FROM events WHERE event = 'Order Paid'")  # PostHog loses them
    assert "0 events would be" in tools.run("resend", "--missing", "--event", "Order Completed")
    of_one = ("--event", "Order Paid", "--record", "gid://shopify/Order/2")
    assert "1 events would be" in tools.run("resend", "--missing", *of_one, "--yes")
    tools.receipted.run(*ORDERS)
    assert [event["event"] for event in tools.receipted.posthog.events()].count("Order Paid") == 1


def test_a_wait_for_a_busy_posthog_is_said(tools: Commands) -> None:
    tools.receipted.posthog.controls.reply_next(Reply(status=503, path="/query/"))
    host = tools.receipted.posthog.url
    said = rf"PostHog at {host} is busy \(HTTP 503\)\. Asking again in \d\.\d s\."
    assert re.search(said, tools.run("receipts", "rebuild"))


def test_the_preview_shows_what_is_there_beside_what_would_be_sent(tools: Commands, tmp_path: Path) -> None:
    tools.receipted.run(*ORDERS[:2])
    preview = str(tmp_path / "preview.sqlite")
    tools.receipted.runs.here(
        *SCHEMAS, *ORDERS, preview_path=preview, receipts=tools.receipted.receipts, validate_records=False
    )
    said = tools.run("plan", "--preview-path", preview)
    assert "A run would send 2 events" in said
    assert "  Order Completed: 1, 2 already there" in said
    assert "it has a receipt, so it isn't sent again" in tools.run("explain", "#1", "--preview-path", preview)
    assert tools.receipted.run() == [], "a preview sends nothing and writes no receipt"
    assert "4 events are known" in tools.run("receipts")
    kept = tmp_path / "plan.json"
    tools.run("plan", "--preview-path", preview, "--out", str(kept))
    assert json.loads(kept.read_text())["events"]["Order Completed"]["already_there"] == 2
    assert len(tools.receipted.run(*ORDERS, plan_path=str(kept))) == 2
