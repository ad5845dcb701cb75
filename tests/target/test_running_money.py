"""The running money of a record: what is kept of each kind of amount, and that what takes it back comes to nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.mapping.event import RunningMoney
from target_posthog.receipts.running_money import money_of, taken_back

if TYPE_CHECKING:
    from target_posthog.mapping.event import Event

MONEY = RunningMoney(("net_sales", "taxes"), ("currency",))


@pytest.mark.parametrize(
    ("amount", "kept"),
    [
        (29.3, "29.3"),
        (-5, "-5"),
        ("12.50", "12.50"),
        (0.00001, "0.00001"),
        (10**18, "1000000000000000000"),
        (True, None),
        ("many", None),
        (None, None),
        (0, None),
        (float("nan"), None),
        (float("inf"), None),
        ("1e5000", None),
        ([1], None),
    ],
)
def test_an_amount_is_kept_exactly_and_what_is_none_adds_up_to_nothing(amount: Any, kept: str | None) -> None:
    found = money_of({"net_sales": amount, "currency": "USD"}, MONEY)
    assert (found and json.loads(found)) == (kept and [{"net_sales": kept}, {"currency": "USD"}])


def test_an_event_without_amounts_keeps_nothing() -> None:
    assert money_of({"currency": "USD", "name": "#1001"}, MONEY) is None


def test_what_was_sent_and_what_takes_it_back_come_to_nothing() -> None:
    sent: list[dict[str, Any]] = [{"net_sales": 0.1, "taxes": "0.02"}, {"net_sales": 0.2}, {"net_sales": -0.05}]
    kept = [money for money in (money_of({**one, "currency": "USD"}, MONEY) for one in sent) if money]
    event: Event = {"event": "Order Deleted", "distinct_id": "a", "uuid": "", "timestamp": "", "properties": {}}
    back = taken_back(event, kept)["properties"]
    assert back == {"net_sales": -0.25, "taxes": -0.02, "currency": "USD"}
    for name in MONEY.adds_up:
        assert sum(Decimal(str(one.get(name, 0))) for one in [*sent, back]) == 0
