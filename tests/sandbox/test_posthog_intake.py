"""What the sandbox's PostHog makes of an event before its tables: campaigns, addresses, order, limits, age."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from posthog.capture_mode import CaptureMode
from posthog.consumer import Consumer

from sandbox.posthog import PostHog
from sandbox.posthog.limits import DistinctIdLimit
from tests.posthog_events import event as numbered_event
from tests.posthog_events import send

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 2, 12, tzinfo=timezone.utc)
numbers = itertools.count(1)


@pytest.fixture
def posthog() -> Iterator[PostHog]:
    with PostHog(clock=lambda: NOW).serve() as served:
        yield served


def event(distinct_id: str, name: str = "seen", **properties: object) -> dict[str, Any]:
    return numbered_event(next(numbers), name, distinct_id, **properties)


def person(posthog: PostHog, distinct_id: str = "ada") -> dict[str, Any]:
    (found,) = (one for one in posthog.persons() if distinct_id in one["distinct_ids"])
    return found["properties"]


def test_a_campaign_on_any_event_becomes_the_persons_last_and_first(posthog: PostHog) -> None:
    send(posthog, event("ada", utm_source="mail", gclid="g", **{"$referrer": "r", "$os": "Linux"}))
    send(posthog, event("ada", utm_source="ad", gclid=None, **{"$referrer": "s", "$is_server": True, "$os": "BSD"}))
    assert person(posthog) == {
        "utm_source": "ad",
        "$initial_utm_source": "mail",
        "gclid": None,
        "$initial_gclid": "g",
        "$referrer": "s",
        "$initial_referrer": "r",
        "$os": "Linux",
        "$initial_os": "Linux",
    }


def test_a_campaign_of_null_is_never_the_first(posthog: PostHog) -> None:
    send(posthog, event("ada", utm_source=None), event("ada", utm_source="mail"))
    assert person(posthog) == {"utm_source": "mail", "$initial_utm_source": "mail"}


def test_what_the_event_itself_sets_wins_over_its_campaign(posthog: PostHog) -> None:
    mine = {"$set": {"utm_source": "mine"}, "$set_once": {"$initial_utm_source": "mine"}}
    send(posthog, event("ada", utm_source="mail", **mine))
    assert person(posthog) == {"utm_source": "mine", "$initial_utm_source": "mine"}


def test_an_event_without_person_processing_and_a_group_keep_their_campaign_to_themselves(posthog: PostHog) -> None:
    send(posthog, event("ada", utm_source="mail", **{"$process_person_profile": False}))
    send(posthog, event("g", "$groupidentify", utm_source="m", **{"$group_type": "t", "$group_key": "k"}))
    assert [one["properties"] for one in posthog.persons()] == [{}]
    assert not any("$set" in one["properties"] for one in posthog.events())


@pytest.mark.parametrize(("sent", "kept"), [({}, "127.0.0.1"), ({"$ip": None}, "127.0.0.1"), ({"$ip": "::1"}, "::1")])
def test_each_event_has_its_senders_address_unless_it_brings_one(
    posthog: PostHog, sent: dict[str, str | None], kept: str
) -> None:
    send(posthog, event("ada", **sent))
    assert [one["properties"]["$ip"] for one in posthog.events()] == [kept]


def test_events_of_several_ids_have_no_order_and_those_of_one_keep_theirs(posthog: PostHog) -> None:
    posthog.hold()
    send(posthog, event("ada", "first"), event("ada", "second"), event("eve", "third"))
    assert posthog.events() == [], "they wait"
    orders = set()
    for order in set(itertools.permutations(posthog.held())):
        posthog.database.wipe()
        posthog.apply(order)
        orders.add(tuple(one["event"] for one in posthog.events()))
    both = ("first", "second")
    assert orders == {(*both, "third"), ("first", "third", "second"), ("third", *both)}


def test_one_id_has_no_order_across_the_historical_topic_and_the_main_one(posthog: PostHog) -> None:
    posthog.hold()
    Consumer(None, "phc_sandbox", host=posthog.url, historical_migration=True).request([event("ada", "old")])
    send(posthog, event("ada", "new"))
    old, new = posthog.held()
    posthog.apply([new, old])
    assert [one["event"] for one in posthog.events()] == ["new", "old"]
    with pytest.raises(ValueError, match="as often as it holds events"):
        posthog.apply([new, new])


def test_two_identifies_of_two_ids_end_differently_in_their_two_orders(posthog: PostHog) -> None:
    """What makes links depend on the order: person-merge-service.ts, `isMergeAllowed` [03330ef6]."""
    posthog.hold()
    send(posthog, event("new", "$identify", **{"$anon_distinct_id": "visitor"}))  # on the web, before
    send(posthog, event("new", "$identify", **{"$anon_distinct_id": "customer:1"}))
    send(posthog, event("old", "$identify", **{"$anon_distinct_id": "customer:1"}))
    web, new, old = posthog.held()
    ends = []
    for order in ([web, new, old], [web, old, new]):
        posthog.database.wipe()
        posthog.apply(order)
        ends.append(len(posthog.persons()))
    assert ends == [1, 2]
    assert [one.type for one in posthog.warnings()] == ["cannot_merge_already_identified"]


@pytest.mark.parametrize("mode", CaptureMode)
def test_beyond_the_limit_of_an_id_its_events_are_kept_and_its_person_is_not_touched(
    posthog: PostHog, mode: CaptureMode
) -> None:
    posthog.distinct_id_limit = DistinctIdLimit(a_second=0.0, burst=2)
    batch = [event("ada", "$set", **{"$set": {"n": number}}) for number in range(4)]
    Consumer(None, "phc_sandbox", host=posthog.url, capture_mode=mode).request(batch)
    assert (len(posthog.events()), person(posthog)) == (4, {"n": 1})


def test_a_limit_fills_up_again() -> None:
    limit = DistinctIdLimit(a_second=2.0, burst=1)
    assert [limit.allows("ada", NOW + timedelta(seconds=after)) for after in (0, 0.2, 0.6, 9, 9)] == [
        *(True, False, True),
        *(True, False),
    ]


def test_a_test_s_warning_leaves_the_person_alone(posthog: PostHog) -> None:
    posthog.verdicts = {"$set": ["warning"]}
    consumer = Consumer(None, "phc_sandbox", host=posthog.url, capture_mode=CaptureMode.V1)
    consumer.request([event("ada", "$set", **{"$set": {"n": 1}}), event("ada")])
    assert (len(posthog.events()), person(posthog)) == (2, {})


def test_a_project_drops_what_is_too_old_for_it_and_says_ok(posthog: PostHog) -> None:
    posthog.drop_events_older_than = timedelta(days=1)
    old = {**event("ada"), "timestamp": "2026-11-01T11:59:59Z"}
    Consumer(None, "phc_sandbox", host=posthog.url, historical_migration=True).request([old])
    send(posthog, {**event("ada"), "timestamp": "2026-11-01T12:00:00Z"})
    assert [one["timestamp"] for one in posthog.events()] == ["2026-11-01T12:00:00Z"]
    assert [one.type for one in posthog.warnings()] == ["event_dropped_too_old"]
    assert len(posthog.fired()) == 1


def test_v1_keeps_a_future_time_and_batch_moves_it_to_now(posthog: PostHog) -> None:
    far = {**event("ada"), "timestamp": "2027-11-02T12:00:00+00:00"}
    Consumer(None, "phc_sandbox", host=posthog.url, capture_mode=CaptureMode.V1).request([far])
    Consumer(None, "phc_sandbox", host=posthog.url).request([far])
    assert [one["timestamp"] for one in posthog.events()] == ["2027-11-02T12:00:00Z", "2026-11-02T12:00:00Z"]
