"""The harness's own checks find what they are for: each of these broken promises gives its sentence."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from sandbox.posthog import PostHog
from sandbox.shop.cdnow import cdnow_store
from tests.faults import checks
from tests.faults.checks import Facts, Gone, Written
from tests.faults.world import LAST_DAY

ORDER = ("u1", "Order Completed", "a@example.com", "2026-10-01T00:00:00Z")
FIRST = ("u2", "$identify", "a@example.com", "2026-10-02T00:00:00Z")
LATER = ("u3", "$identify", "a@example.com", "2026-10-03T00:00:00Z")
ANNA = {("a@example.com", "shopify:customer:1"): {"name": "Anna", "is identified": True}}


def facts(*identities: tuple[str, ...], persons: Any = ANNA, **properties: Any) -> Facts:
    return Facts({identity: {"total": 1, **properties} for identity in identities}, persons)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (facts(ORDER), "1 $identify missing, such as u2"),
        (facts(ORDER, FIRST, LATER), "1 $identify too many, such as u3"),
        (facts(ORDER, FIRST, total=2), "1 $identify other than it should be, such as u2, in total"),
        (facts(ORDER, FIRST, persons={}), "1 persons missing"),
        (facts(ORDER, FIRST, persons={**ANNA, ("b",): {}}), "1 persons too many"),
        (facts(ORDER, FIRST, persons={one: {"name": "Anne"} for one in ANNA}), "in is identified, name"),
    ],
)
def test_a_difference_is_named(found: Facts, sentence: str) -> None:
    assert [one for one in checks.differences(found, facts(ORDER, FIRST)) if one.endswith(sentence)]


def test_equal_facts_have_no_difference() -> None:
    assert checks.differences(facts(ORDER, FIRST), facts(ORDER, FIRST)) == []


def test_an_earlier_state_of_a_customer_may_stay_and_nothing_else() -> None:
    final = facts(ORDER, LATER)
    assert checks.differences(facts(ORDER, FIRST, LATER), final, facts(ORDER, FIRST)) == []
    assert checks.differences(facts(ORDER, FIRST, LATER), final, facts(ORDER, FIRST, total=2)) != []
    assert checks.differences(facts(ORDER, FIRST, LATER), facts(LATER), facts(ORDER, FIRST)) != [], "an order may not"


DELETED = ("u4", "Order Deleted", "a@example.com", "2026-10-03T00:00:00Z")
LINK = ("u5", "$identify", "shopify:customer:1", "2026-10-01T00:00:00Z")


def test_what_was_known_of_a_deleted_order_may_stay_unchanged_and_nothing_else() -> None:
    before, final = facts(ORDER, FIRST, order_id="7"), facts(FIRST, order_id="7")
    gone = Gone(orders={"7"})
    assert checks.differences(facts(ORDER, DELETED, FIRST, order_id="7"), final, before, gone) == []
    assert checks.differences(final, final, before, gone) == []
    assert checks.differences(before, final, before) != [], "an order that is there may not be in excess"
    other = Facts({**final.events, ORDER: {"total": 2, "order_id": "7"}}, ANNA)
    assert checks.differences(other, final, before, gone) != [], "it has changed"


def test_a_link_to_an_e_mail_of_before_may_be_missing_and_no_other() -> None:
    final = Facts({LINK: {"$anon_distinct_id": "old@example.com"}}, ANNA)
    assert checks.differences(facts(), final, None, Gone(emails={"old@example.com"})) == []
    assert checks.differences(facts(), final, None, Gone(emails={"other@example.com"})) != []


def test_a_person_may_keep_what_the_e_mail_of_before_brought_and_nothing_else() -> None:
    ids = ("new@example.com", "old@example.com", "shopify:customer:1")
    before = Facts({}, {ids[1:]: {"name": "Anna", "consent": "yes"}})
    now = Facts({}, {ids: {"name": "Anna"}})
    kept = Facts({}, {ids: {"name": "Anna", "consent": "yes"}})
    gone = Gone(emails={"old@example.com"})
    assert checks.differences(kept, now, before, gone) == []
    assert checks.differences(kept, now, before) != [], "no e-mail has changed"
    assert checks.differences(Facts({}, {ids: {"name": "Anna", "consent": "no"}}), now, before, gone) != []
    assert checks.differences(Facts({}, {ids: {"name": "Anne"}}), now, before, gone) != []


def test_with_receipts_what_was_sent_stays_unchanged_and_nothing_else() -> None:
    before, final = facts(ORDER, FIRST), facts(ORDER, FIRST, total=2)
    sent = Facts({**final.events, ORDER: before.events[ORDER]}, ANNA)
    assert checks.differences(sent, final, before, facts_stay=True) == []
    assert checks.differences(sent, final, before) != [], "without receipts the last state is sent"
    assert checks.differences(facts(ORDER, FIRST, total=3), final, before, facts_stay=True) != [], "it was never so"
    moved = (*ORDER[:2], "b@example.com", ORDER[3])
    assert checks.differences(facts(ORDER), facts(moved), facts(ORDER), facts_stay=True) == []
    assert checks.differences(Facts({}, ANNA), facts(moved), facts(ORDER), facts_stay=True) != [], "it isn't there"


def test_with_receipts_a_person_s_words_may_come_by_another_event_and_must_come() -> None:
    link, number = {"$anon_distinct_id": "shopify:customer:1"}, "shopify:customer:1"
    described = {**link, "$set": {"name": "Anna"}}
    of_order = ("u6", "$identify", "a@example.com", "2026-10-05T00:00:00Z")
    expected = Facts({FIRST: described, of_order: link}, ANNA)
    for events, complete in (
        ({FIRST: described}, True),
        ({of_order: link}, False),
        ({of_order: link, LATER: {"$set": {"name": "Anna"}}}, True),
        ({LATER: {**link, "$set": {"name": "Anne"}}}, False),
        ({("u7", "$identify", number, "2026-10-05T00:00:00Z"): {"$anon_distinct_id": "other"}}, False),
    ):
        lacking = {*expected.events} - {*events} - checks.said_already(expected.events, Facts(events, ANNA))
        assert (not lacking) is complete
    assert checks.differences(Facts({FIRST: described}, ANNA), expected, facts_stay=True) == []
    assert checks.differences(Facts({FIRST: described}, ANNA), expected) != [], "without receipts each event comes"


def test_a_link_may_come_by_way_of_the_e_mail_of_before() -> None:
    def link(uuid: str, one: str, other: str) -> dict[tuple[str, ...], dict[str, str]]:
        return {(uuid, "$identify", one, "2026-10-05T00:00:00Z"): {"$anon_distinct_id": other}}

    before, moved = link("u8", "before", "visitor"), link("u9", "now", "before")
    expected = {**link("u8", "now", "visitor"), **moved}
    assert checks.said_already(expected, Facts({**before, **moved}, ANNA)) == {*link("u8", "now", "visitor")}
    for arrived in (before, moved, {**moved, **link("u8", "before", "other")}):
        assert not checks.said_already(link("u8", "now", "visitor"), Facts(arrived, ANNA))


def test_an_event_is_the_same_under_the_e_mail_of_before() -> None:
    now, before = ("u8", "$identify", "now", "2026"), ("u8", "$identify", "before", "2026")
    assert checks.same_events([now, ORDER], [before]) == {now}
    assert checks.same_events([now, ORDER], [("u8", "Order Paid", "before", "2026")]) == set()


def test_copies_are_what_had_arrived_before() -> None:
    assert checks.copies([ORDER], [FIRST, LATER]) == []
    assert checks.copies([ORDER], [ORDER, FIRST, FIRST, FIRST]) == [ORDER, FIRST, FIRST]


def test_what_has_a_receipt_may_not_be_sent_again() -> None:
    assert checks.sent_again([ORDER], set(), may_be_open=True) == []
    assert checks.sent_again([ORDER], {"u1"}, may_be_open=True) == [
        "1 Order Completed sent again in spite of a receipt, such as u1"
    ]
    assert checks.sent_again([ORDER], set(), may_be_open=False) == [
        "1 Order Completed sent again for no reason, such as u1"
    ]
    assert checks.sent_again([], {"u1"}, may_be_open=False) == []


def test_an_event_that_arrived_has_a_receipt_and_a_person_s_has_none() -> None:
    assert checks.without_receipt([ORDER, FIRST], {"u1"}) == set()
    assert checks.without_receipt([ORDER, FIRST], set()) == {ORDER}


def test_what_was_said_under_an_e_mail_of_before_needs_not_be_said_again_by_an_order() -> None:
    time, before, after = "2026-11-01T00:00:00Z", "a@example.com", "b@example.com"
    person = {("b",): {"name": "Anna"}}
    earlier = Facts({("u1", "$set", before, time): {"$set_once": {"first_channel": "web"}}}, {})
    expected = Facts(
        {
            ("u1", "$set", after, time): {"$set_once": {"first_channel": "web"}},
            ("u2", "$identify", after, time): {"$anon_distinct_id": "shopify:customer:1"},
        },
        person,
    )
    found = Facts(dict(earlier.events), person)
    gone = Gone(emails=[before], customers=["shopify:customer:1"])
    assert checks.differences(found, expected, earlier, gone) == []
    assert len(checks.differences(found, expected, earlier, Gone())) == 3
    assert len(checks.differences(Facts(dict(found.events), {}), expected, earlier, gone)) == 1, "persons are compared"


def test_campaign_properties_of_events_and_of_persons_are_compared() -> None:
    with PostHog().serve() as posthog:
        event = {
            "event": "Order Completed",
            "distinct_id": "a",
            "uuid": "0199c0de-0001-4000-8000-ea4b5e2d507c",
            "properties": {"utm_source": "news", "total": 1, "$set": {"name": "Anna"}},
        }
        done = requests.post(f"{posthog.url}/batch/", json={"api_key": posthog.api_key, "batch": [event]}, timeout=10)
        assert done.ok
        found = Facts.of(posthog)
        (properties,), (person,) = found.events.values(), found.persons.values()
        assert properties["utm_source"] == "news"
        assert (person["name"], person["utm_source"], person["$initial_utm_source"]) == ("Anna", "news", "news")


@pytest.mark.parametrize(
    ("bookmark", "ahead"),
    [
        ({}, False),
        ({"replication_key_value": "2026-10-01T00:00:00Z"}, False),
        ({"replication_key_value": "2026-10-02T00:00:00Z"}, False),
        ({"replication_key_value": "2026-10-02T00:00:00Z", "known": {"Order/1": "f"}}, True),
        ({"replication_key_value": "2026-10-02T00:00:01Z"}, True),
        ({"replication_key_value": "2026-10-02T00:00:01Z", "held": {"1": 1}}, False),
        ({"replication_key_value": "2026-10-02T00:00:01Z", "waiting": {"1": [1, ""]}}, True),
        ({"replication_key_value": "2026-10-02T00:00:01Z", "held": {"2": 1}}, True),
    ],
)
def test_a_state_vouches_for_what_no_later_run_reads(bookmark: dict[str, Any], *, ahead: bool) -> None:
    written = [Written(1, "orders", "Order/1", "2026-10-02T00:00:00Z", frozenset({ORDER}))]
    bookmarks = {(1, "orders"): bookmark}
    assert bool(checks.ahead(bookmarks, written, set())) is ahead
    assert checks.ahead(bookmarks, written, {ORDER}) == []
    assert checks.ahead({(2, "orders"): bookmark}, written, set()) == []


def test_what_a_log_may_not_say_is_found() -> None:
    store = cdnow_store(LAST_DAY, customers=10)
    texts = checks.personal(store)
    customer = store.customers[0]
    for text in (customer["email"], customer["displayName"], customer["defaultAddress"]["address1"]):
        assert checks.said({"tap": f"... {text.upper()} ..."}, texts) == [
            f"tap logs something personal ({len(text)} characters)"
        ]
    for text in ("shpat_sandbox", "phc_sandbox", "shpss_sandbox", f"shpat_{'0a' * 16}", "x?Signature=ab-cd"):
        assert len(checks.said({"tap": text}, texts)) == 1
    assert checks.said({"tap": "Traceback (most recent call last):\nKeyError: 1"}, texts) == [
        "tap logs a traceback (KeyError)"
    ]
    for end, broken in (
        ("<frozen site>", ""),
        ("/x/bin/target-posthog", ""),
        ("/x/faults/start.py", ""),
        ("/x/faults/frequent.py", "faults/frequent.py:1"),
        ("/x/target_posthog/a.py", "target_posthog/a.py:1"),
    ):
        log = f'Traceback (most recent call last):\n  File "{end}", line 1, in <module>\nKeyboardInterrupt\n'
        found = [f"target logs a traceback (KeyboardInterrupt) from {broken} to {broken}"] if broken else []
        assert checks.said({"target": log}, texts) == found, "Ctrl-C while Python itself starts is Python's"
    for line, broken in (("import signal", False), ("main()", True)):
        where = 'File "/x/bin/y"\nFile "/x/target_posthog/__main__.py", line 7, in <module>'
        log = f"Traceback (most recent call last):\n{where}\n{line}\nKeyboardInterrupt\n"
        log = "".join(f"2026-11-23T14:12:03Z [info     ] target-posthog {one}\n" for one in log.splitlines())
        assert bool(checks.said({"meltano": log}, texts)) is broken, "Meltano's log begins each line itself"
    cut_short = "Fatal Python error: init_sys_streams: can't initialize sys standard streams\n"
    log = "Traceback (most recent call last):\nTypeError: expected a message argument\n"
    assert checks.said({"tap": cut_short + log}, texts) == [], (
        "Python itself was interrupted, and says so in its own way"
    )
    assert checks.said({"tap": log}, texts) != []
    assert checks.said({"tap": "read 3 orders of sandbox.myshopify.com, with shpat_..."}, texts) == []


def test_a_failure_without_a_word_is_found() -> None:
    assert checks.silent({"tap": 1, "target": 0}, {"tap": "INFO", "target": ""}) == ["tap ends with 1 and no word"]
    assert checks.silent({"tap": 1, "target": -9}, {"tap": "ERROR | it can't", "target": ""}) == []
    early = "Could not import runpy module\nTraceback (most recent call last):\nKeyboardInterrupt\n"
    assert checks.silent({"tap": 1}, {"tap": early}) == []
