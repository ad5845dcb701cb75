"""What the sandbox's PostHog keeps, counts and shows."""

from __future__ import annotations

import json
import sqlite3
import stat
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests
from posthog.consumer import Consumer

from sandbox.controls import Reply
from sandbox.posthog import PostHog
from tests.posthog_events import send

if TYPE_CHECKING:
    from pathlib import Path


def event(number: int = 1, **changes: object) -> dict[str, Any]:
    one: dict[str, Any] = {
        "event": "Order Completed",
        "uuid": str(uuid.UUID(int=number)),
        "distinct_id": "ada@x.io",
        "timestamp": "2026-11-01T10:00:00Z",
        "properties": {"revenue": 29.33, "currency": "USD"},
        **changes,
    }
    return {**one, "properties": {"$ignore_sent_at": True, **one["properties"]}}


def get(posthog: PostHog, path: str) -> dict[str, Any]:
    answer = requests.get(f"{posthog.url}{path}", timeout=30)
    answer.raise_for_status()
    return answer.json()


def test_the_same_event_again_is_there_and_counted_twice_until_its_copies_are_merged(posthog: PostHog) -> None:
    send(posthog, event(properties={"revenue": 1, "currency": "USD", "old": 1}))
    send(posthog, event(timestamp="2026-11-01T23:00:00Z", properties={"revenue": 2, "currency": "USD"}))
    assert [one["copies"] for one in posthog.events()] == [1, 1]
    totals = posthog.totals()
    assert (totals["events"], totals["net_sales"]) == ({"Order Completed": 2}, {"USD": Decimal(3)})
    assert [totals[name] for name in ("received", "repeats", "copies", "doubles")] == [2, 1, 1, 0]
    assert requests.post(f"{posthog.url}/_sandbox/merge", json={}, timeout=30).json() == {"merged": 1}
    (kept,) = posthog.events()
    assert (kept["timestamp"], kept["copies"]) == ("2026-11-01T23:00:00Z", 0)
    assert {"revenue", "currency"} == {name for name in kept["properties"] if not name.startswith("$")}
    totals = posthog.totals()
    assert (totals["events"], totals["net_sales"]) == ({"Order Completed": 1}, {"USD": Decimal(2)})
    assert [totals[name] for name in ("received", "repeats", "copies", "doubles")] == [2, 1, 0, 0]


def test_copies_are_merged_within_a_month(posthog: PostHog) -> None:
    for _ in range(3):
        send(posthog, event(1), event(2, timestamp="2026-10-31T23:59:59Z"))
    assert posthog.merge("2026-10") == 2
    assert [one["uuid"][-1] for one in posthog.events()].count("1") == 3
    assert posthog.merge() == 2
    assert posthog.totals()["copies"] == 0


def test_every_arrival_fires_destinations_whatever_is_merged(posthog: PostHog) -> None:
    send(posthog, event(1), event(2))
    send(posthog, event(1))
    posthog.merge()
    send(posthog, event(2))
    assert [one["uuid"][-1] for one in posthog.fired()] == ["1", "2", "1", "2"]
    assert [one["uuid"][-1] for one in get(posthog, "/api/fired")] == ["1", "2", "1", "2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"uuid": str(uuid.UUID(int=2))},
        {"event": "Order Paid"},
        {"distinct_id": "eve@x.io"},
        {"timestamp": "2026-11-02T00:00:00Z"},
    ],
)
def test_another_uuid_name_id_or_day_is_another_event(posthog: PostHog, changes: dict[str, object]) -> None:
    send(posthog, event())
    send(posthog, event(**changes))
    assert posthog.merge() == 0
    assert len(posthog.events()) == 2


def test_money_is_summed_exactly_by_currency(posthog: PostHog) -> None:
    money = [(0.1, "USD"), (0.2, "USD"), ("0.30", "USD"), (1.005, "KWD"), (12, "JPY"), (None, "USD")]
    send(posthog, *(event(n, properties={"revenue": m, "currency": c}) for n, (m, c) in enumerate(money, 1)))
    refund = {"event": "Order Refunded", "properties": {"net_sales": -19.99, "total_sales": -21, "currency": "USD"}}
    send(posthog, event(50, **refund), event(51, **refund))
    totals = posthog.totals()
    assert totals["net_sales"] == {"JPY": Decimal(12), "KWD": Decimal("1.005"), "USD": Decimal("-39.38")}
    assert totals["total_sales"] == {"USD": Decimal(-42)}
    assert get(posthog, "/api/totals")["net_sales"]["USD"] == "-39.38"


def test_totals_name_the_oldest_and_the_newest_moment(posthog: PostHog) -> None:
    assert (posthog.totals()["oldest"], posthog.totals()["events"]) == (None, {})
    send(posthog, event(1, timestamp="2026-11-03T10:00:00Z"), event(2, timestamp="1997-01-01T00:00:00Z"))
    assert [posthog.totals()[name] for name in ("oldest", "newest")] == ["1997-01-01T00:00:00Z", "2026-11-03T10:00:00Z"]


def test_a_whole_number_beyond_2_to_53_loses_digits_wherever_it_stands(posthog: PostHog) -> None:
    deep = {"id": 820982911946154508, "text": "820982911946154508", "exact": 2**53, "far": 10**21}
    send(posthog, event(properties={"revenue": 12345678901234567890, "products": [deep], "$set": {"id": -(2**53) - 1}}))
    text = requests.get(f"{posthog.url}/api/events", timeout=30).text
    assert '"revenue":12345678901234567000' in text
    assert '{"id":820982911946154500,"text":"820982911946154508","exact":9007199254740992,"far":1e+21}' in text
    assert posthog.persons()[0]["properties"] == {"id": -9007199254740992}


def test_events_can_be_found_by_name_id_uuid_and_page(posthog: PostHog) -> None:
    send(posthog, *(event(n, distinct_id=f"{n % 2}@x.io", event=f"e{n % 3}") for n in range(1, 8)))
    uuids = lambda path: [int(uuid.UUID(one["uuid"])) for one in get(posthog, path)]  # noqa: E731  # one expression
    assert uuids("/api/events?event=e1") == [1, 4, 7]
    assert uuids("/api/events?event=e1&distinct_id=1@x.io") == [1, 7]
    assert uuids("/api/events?limit=2&offset=3") == [4, 5]
    assert get(posthog, f"/api/events/{uuid.UUID(int=5)}")["event"] == "e2"
    assert requests.get(f"{posthog.url}/api/events/{uuid.UUID(int=99)}", timeout=30).status_code == 404


def test_persons_groups_and_warnings_can_be_read(posthog: PostHog) -> None:
    send(posthog, event(1), event(2, distinct_id="eve@x.io"))
    send(posthog, event(3, event="$groupidentify", properties={"$group_type": "store", "$group_key": "acme"}))
    send(posthog, event(4, event="$create_alias", properties={"alias": "none"}))
    assert [one["distinct_ids"] for one in get(posthog, "/api/persons?distinct_id=eve@x.io")] == [["eve@x.io"]]
    assert len(get(posthog, "/api/persons")) == 2
    assert [one["key"] for one in get(posthog, "/api/groups")] == ["acme"]
    assert [one["type"] for one in get(posthog, "/api/warnings")] == ["cannot_merge_with_illegal_distinct_id"]


def test_the_overview_leads_to_each_view(posthog: PostHog) -> None:
    overview = get(posthog, "/api/")
    assert overview["totals"]["received"] == 0
    assert [type(get(posthog, path)) for path in overview["views"].values()] == [list, list, list, dict, list, list]


def test_no_view_stays_in_a_cache(posthog: PostHog) -> None:
    for path in ("/api/", "/api/events", "/api/persons", "/api/totals", "/api/groups", "/api/warnings"):
        assert requests.get(f"{posthog.url}{path}", timeout=30).headers["Cache-Control"] == "no-store", path


def test_a_reset_forgets_everything(posthog: PostHog) -> None:
    send(posthog, event())
    assert requests.post(f"{posthog.url}/_sandbox/reset", timeout=30).status_code == 415, "no web page's form"
    requests.post(f"{posthog.url}/_sandbox/reset", json={}, timeout=30).raise_for_status()
    assert (posthog.events(), posthog.persons(), posthog.totals()["received"]) == ([], [], 0)


def test_a_reply_that_acts_is_cut_after_the_events_were_kept(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(cut=True, acts=True))
    with pytest.raises(requests.ConnectionError):
        Consumer(None, "phc_sandbox", host=posthog.url, retries=0).request([event()])
    assert len(posthog.events()) == 1


def test_several_senders_at_once_lose_and_double_nothing(posthog: PostHog) -> None:
    def work(sender: int) -> None:
        for start in range(0, 200, 50):
            send(posthog, *(event(1000 * sender + start + n, distinct_id=f"{n}@x.io") for n in range(1, 51)))

    with ThreadPoolExecutor(4) as senders:
        list(senders.map(work, range(1, 5)))
    totals = posthog.totals()
    assert (totals["events"], totals["persons"], totals["repeats"]) == ({"Order Completed": 800}, 50, 0)
    assert totals["net_sales"] == {"USD": 800 * Decimal("29.33")}


def test_the_file_is_its_owners_and_outlives_the_server(tmp_path: Path) -> None:
    path = tmp_path / "posthog.db"
    with PostHog(str(path)).serve() as first:
        send(first, event(1, event="$identify", properties={"$anon_distinct_id": "customer:1"}))
        elsewhere = sqlite3.connect(path)
        assert elsewhere.execute("select count(*) from events").fetchone() == (1,)
        elsewhere.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with PostHog(str(path)).serve() as second:
        send(second, event(2, event="$identify", properties={"$anon_distinct_id": "visitor"}))
        assert [one["distinct_ids"] for one in second.persons()] == [["ada@x.io", "customer:1", "visitor"]]
        assert json.loads(json.dumps(second.events()))[0]["event"] == "$identify"
