"""Where two sides of the books differ, and the reason that is given."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from target_posthog.books.arrived import Arrived
from target_posthog.books.differences import (
    ABSENT,
    DELETED,
    ERASED,
    IN_FLIGHT,
    KEPT_AS_SENT,
    NEWER,
    NO_ENTRY,
    NO_EVENT,
    NOT_IN_SHOP,
    NOT_SENT,
    NOT_THERE,
    OTHER_AMOUNT,
    OTHER_FIGURES,
    OTHER_SOURCE,
    TWICE,
    Booked,
    BookedRecord,
    Difference,
    Evidence,
    InFlight,
    Place,
    Planned,
    of_arrivals,
    of_record,
)

DAY = Place("7", "USD", "2026-11-01")
NET = {"net_sales": Decimal("29.30")}
BACK = {"net_sales": Decimal("-29.30")}
UUID = "5f0c8a3e-6f0b-5d0f-9c4e-000000000001"
OTHER = UUID.replace("-5d0f", "-5d0e")
ENTRY = Booked("placed", DAY, NET)
EVENT = Planned(UUID, "placed", "Order Completed", DAY, NET, timestamp="2026-11-01T10:00:00Z")
SENT = InFlight(accepted={("Order Completed", "2026-11-01"): 1})
OTHERS_SENT = InFlight(accepted={("Order Completed", "2026-11-02"): 1, ("Order Paid", "2026-11-01"): 1})
ARRIVED = Arrived(UUID, "Order Completed", "2026-11-01", "USD", "s.example", "#1001", NET)
EVIDENCE = Evidence(previewed_on={"7": "2026-11-20"}, shops={"s.example": "7"}, deletions={"Order Deleted"})


def kept(*events: Planned, entries: tuple[Booked, ...] = (ENTRY,), **more: Any) -> BookedRecord:
    return BookedRecord("#1001", entries, events, **more)


def told(differences: list[Difference]) -> list[tuple[str, str, bool]]:
    return [(f"{one.figures.get('net_sales')}", one.reason, one.is_explained) for one in differences]


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (kept(EVENT), []),
        (kept(EVENT, EVENT, entries=(ENTRY, ENTRY)), []),
        (kept(EVENT._replace(figures={**NET, "shipping": Decimal()})), []),
        (kept(entries=(Booked("placed", DAY, {}),)), []),
        (kept(EVENT, EVENT._replace(figures={})), []),
        (kept(reasons={"": "left out: test order"}), [("-29.30", "left out: test order", True)]),
        (kept(reasons={"placed": "filtered: it is so"}), [("-29.30", "filtered: it is so", True)]),
        (kept(reasons={"refunded": "filtered: it is so"}), [("-29.30", NO_EVENT, False)]),
        (kept(EVENT._replace(figures={"net_sales": Decimal(30)})), [("0.70", OTHER_FIGURES, False)]),
        (kept(EVENT._replace(figures={"net_sales": Decimal()})), [("-29.30", OTHER_FIGURES, False)]),
        (
            kept(EVENT._replace(place=DAY._replace(day="2026-11-02"))),
            [("29.30", "the event has them on 2026-11-02 in USD", False)],
        ),
        (kept(EVENT, entries=()), [("29.30", NO_ENTRY, False)]),
        (kept(EVENT._replace(event="Order Deleted", figures=BACK), entries=()), [("-29.30", DELETED, True)]),
    ],
)
def test_each_entry_has_its_event_and_each_event_its_entry(
    record: BookedRecord, found: list[tuple[str, str, bool]]
) -> None:
    assert told(list(of_record(record, {"Order Deleted"}))) == found


@pytest.mark.parametrize(
    ("arrived", "evidence", "found"),
    [
        ([ARRIVED], {}, []),
        ([ARRIVED._replace(shop="former.example")], {}, []),
        ([ARRIVED, ARRIVED._replace(uuid=OTHER, figures={"net_sales": Decimal()})], {}, []),
        ([ARRIVED, ARRIVED], {}, [("29.30", TWICE, False)]),
        ([ARRIVED, ARRIVED._replace(uuid=OTHER)], {}, [("29.30", NOT_IN_SHOP, False)]),
        ([ARRIVED, ARRIVED._replace(uuid=OTHER.replace("-5", "-7"))], {}, [("29.30", OTHER_SOURCE, False)]),
        ([ARRIVED, ARRIVED._replace(uuid=OTHER, day="2026-11-20")], {}, [("29.30", NEWER, True)]),
        (
            [
                ARRIVED,
                ARRIVED._replace(uuid=OTHER, name="#1002"),
                ARRIVED._replace(uuid=OTHER[:-1] + "3", name="#1002", event="Order Deleted", figures=BACK),
            ],
            {},
            [("29.30", DELETED, True), ("-29.30", DELETED, True)],
        ),
        ([ARRIVED._replace(figures={"net_sales": Decimal()})], {}, [("-29.30", OTHER_AMOUNT, False)]),
        ([ARRIVED._replace(day="2026-11-02")], {}, [("29.30", OTHER_AMOUNT, False)]),
        ([], {}, [("-29.30", NOT_THERE, False)]),
        ([], {"acknowledged": set()}, [("-29.30", NOT_SENT, False)]),
        ([], {"acknowledged": {UUID}}, [("-29.30", ABSENT, True)]),
        ([], {"acknowledged": {UUID}, "erased": {UUID}}, [("-29.30", ERASED, True)]),
        ([], {"acknowledged": {UUID}, "in_flight": SENT}, [("-29.30", IN_FLIGHT, True)]),
        ([], {"acknowledged": {UUID}, "in_flight": InFlight("2026-11-01T09:00:00Z")}, [("-29.30", IN_FLIGHT, True)]),
        ([], {"acknowledged": {UUID}, "in_flight": InFlight("2026-11-02T09:00:00Z")}, [("-29.30", ABSENT, True)]),
        ([], {"acknowledged": {UUID}, "in_flight": OTHERS_SENT}, [("-29.30", ABSENT, True)]),
        ([], {"dead_letters": {("7", "#1001"): "too large"}}, [("-29.30", "dead letter: too large", True)]),
        ([], {"dead_letters": {("8", "#1001"): "too large"}}, [("-29.30", NOT_THERE, False)]),
        (
            [
                ARRIVED,
                ARRIVED._replace(uuid=OTHER, name="#1002"),
                ARRIVED._replace(
                    uuid=OTHER[:-1] + "3", name="#1002", event="Order Deleted", figures=BACK, shop="t.example"
                ),
            ],
            {"shops": {"s.example": "7", "t.example": "8"}},
            [("29.30", NOT_IN_SHOP, False), ("-29.30", DELETED, True)],
        ),
    ],
)
def test_what_posthog_has_is_what_was_planned_or_there_is_a_reason(
    arrived: list[Arrived], evidence: dict[str, Any], found: list[tuple[str, str, bool]]
) -> None:
    assert told(list(of_arrivals({UUID: ("#1001", EVENT)}, arrived, EVIDENCE._replace(**evidence)))) == found


def test_no_more_is_in_flight_than_the_last_run_has_sent() -> None:
    planned = {uuid: ("#1001", EVENT._replace(uuid=uuid)) for uuid in (UUID, OTHER, OTHER[:-1] + "3")}
    evidence = EVIDENCE._replace(acknowledged={*planned}, in_flight=SENT)
    assert [one.reason for one in of_arrivals(planned, [], evidence)] == [IN_FLIGHT, ABSENT, ABSENT]
    assert SENT.accepted == {("Order Completed", "2026-11-01"): 1}


@pytest.mark.parametrize(("is_there", "reason"), [(True, KEPT_AS_SENT), (False, OTHER_AMOUNT)])
def test_events_whose_money_follows_their_records_are_kept_as_they_were_sent(*, is_there: bool, reason: str) -> None:
    planned = {UUID: ("#1001", EVENT._replace(is_there=is_there))}
    arrived = [ARRIVED._replace(figures={"net_sales": Decimal(40)})]
    (one,) = of_arrivals(planned, arrived, EVIDENCE._replace(may_change=True))
    assert (one.figures, one.reason, one.is_explained) == ({"net_sales": Decimal("10.70")}, reason, is_there)
