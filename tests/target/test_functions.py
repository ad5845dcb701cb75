"""The functions of the mapping language, as tables."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.mapping.language.functions import (
    FUNCTIONS,
    JSON,
    as_datetime,
    as_number,
    as_timestamp,
    canonical,
    day_of,
)


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("number", ["29.33"], 29.33),
        ("number", ["29.30"], 29.3),
        ("number", ["1000.000"], 1000),
        ("number", ["0.1"], 0.1),
        ("number", [" 5 "], 5),
        ("number", [7], 7),
        ("number", [1.5], 1.5),
        ("number", ["-0.00"], 0),
        ("number", [""], None),
        ("number", [None], None),
        ("number", ["12345678901234567.89"], "12345678901234567.89"),
        ("total", [["0.10", "0.20"]], 0.3),
        ("total", [["0.10", None, 3]], 3.1),
        ("total", [[]], 0),
        ("total", [None], None),
        ("plus", ["0.1", "0.2"], 0.3),
        ("plus", [None, 1], None),
        ("minus", ["0.3", "0.1"], 0.2),
        ("minus", [0, "4.50"], -4.5),
        ("divide", ["10.00", 4], 2.5),
        ("divide", [10, "3"], 3.333333),
        ("divide", ["1e400", 3], "3.333333333333333333333333333E+399"),
        ("divide", [10, 0], None),
        ("divide", [None, 2], None),
        ("find", [[{"id": 1}, 5, {"id": 2, "note": "b"}, {"id": 2}], "id", 2], {"id": 2, "note": "b"}),
        ("find", [[{"id": 1}, {}], "id", None], None),
        ("find", [None, "id", 1], None),
        (
            "first_per",
            [[{"of": 1, "n": 1}, {"of": 1, "n": 2}, {"n": 3}, {"of": [2]}], "of"],
            [{"of": 1, "n": 1}, {"of": [2]}],
        ),
        (
            "rest_per",
            [[{"of": 1, "n": 1}, {"of": 1, "n": 2}, {"n": 3}, {"of": [2]}], "of"],
            [{"of": 1, "n": 2}, {"n": 3}],
        ),
        ("first_per", [None, "of"], None),
        ("from_minor_units", [1999, "usd"], 19.99),
        ("from_minor_units", [1999, "JPY"], 1999),
        ("from_minor_units", [1999, "KWD"], 1.999),
        ("to_minor_units", ["19.99", "USD"], 1999),
        ("to_minor_units", ["1.999", "KWD"], 1999),
        ("lower", ["Ä@B.c"], "ä@b.c"),
        ("upper", ["usd"], "USD"),
        ("trim", ["  a b \n"], "a b"),
        ("trim", ["   "], None),
        ("concat", ["shopify:customer:", 7], "shopify:customer:7"),
        ("concat", ["shopify:customer:", None], None),
        ("concat", [5.0], "5"),
        ("sha256", [""], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("sha256", [None], None),
        ("uuid", ["018F3A3C-0000-7000-8000-000000000001"], "018F3A3C-0000-7000-8000-000000000001"),
        ("uuid", ["undefined"], None),
        ("uuid", [5], None),
        ("from_unix", [1700000000], "2023-11-14T22:13:20Z"),
        ("from_unix", ["1700000000.5"], "2023-11-14T22:13:20.500000Z"),
        ("from_unix", [-70000000000], "1967-10-13T19:33:20Z"),  # milliseconds
        ("from_unix", [-31536000000], "1969-01-01T00:00:00Z"),
        ("from_unix", [-1000000000], "1938-04-24T22:13:20Z"),
        ("hours_between", ["2026-11-01T00:00:00Z", "2026-11-02T01:30:00Z"], 25.5),
        ("hours_between", ["2026-11-01T00:00:00+02:00", "2026-11-01T00:00:00Z"], 2),
        ("hours_between", [None, "2026-11-02T01:30:00Z"], None),
        ("days_between", ["2026-11-01T12:00:00Z", "2026-11-03T11:59:59Z"], 1),
        ("days_between", ["2026-11-01T12:00:00Z", "2026-11-03T12:00:00Z"], 2),
        ("days_between", ["2026-11-03T12:00:00Z", "2026-11-01T12:00:01Z"], -1),
        ("days_between", [None, "2026-11-02T01:30:00Z"], None),
        ("url_parameter", ["https://x.y/?utm_source=a%20b&c=d", "utm_source"], "a b"),
        ("url_parameter", ["/products/x?utm_source=", "utm_source"], None),
        ("url_parameter", ["https://[broken", "utm_source"], None),
        ("url_page", ["https://jane:x@x.y:81/a%20b?email=jane@x.y#z"], "https://x.y:81/a%20b"),
        ("url_page", ["/products/x?utm_source="], "/products/x"),
        ("url_page", ["android-app://com.google.android.gm/"], "android-app://com.google.android.gm/"),
        ("url_page", ["mailto:jane@x.y"], None),
        ("url_page", ["?email=jane@x.y"], None),
        ("url_page", ["https://[broken"], None),
        ("url_page", [None], None),
    ],
)
def test_a_function_gives_this_value(name: str, arguments: list[Any], value: JSON) -> None:
    assert repr(FUNCTIONS[name](*arguments)) == repr(value)


def test_sha256_of_an_object_does_not_depend_on_the_order_of_its_keys() -> None:
    assert FUNCTIONS["sha256"]({"a": 1, "b": [2.0]}) == FUNCTIONS["sha256"]({"b": [2], "a": 1.0})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("number", ["jane@example.com"]),
        ("number", [True]),
        ("number", ["NaN"]),
        ("number", ["Infinity"]),
        ("number", [[1]]),
        ("total", ["5"]),
        ("total", [["5", "x"]]),
        ("plus", [True, 1]),
        ("minus", [1, []]),
        ("divide", [{}, 2]),
        ("find", ["text", "id", 1]),
        ("rest_per", [{}, "of"]),
        ("lower", [{"a": 1}]),
        ("concat", ["a", True]),
        ("from_unix", ["yesterday"]),
        ("from_format", ["11/01/2026 10:30", "%m/%d/%Y %H:%m"]),
        ("hours_between", ["jane@example.com", "2026-11-02T01:30:00Z"]),
    ],
)
def test_a_function_says_what_it_needs_and_never_what_it_got(name: str, arguments: list[Any]) -> None:
    with pytest.raises(ValueError, match="needs a") as refused:
        FUNCTIONS[name](*arguments)
    assert "jane" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2026-11-01T12:00:00Z", "2026-11-01T12:00:00Z"),
        ("2026-11-01T12:00:00+05:30", "2026-11-01T06:30:00Z"),
        ("2026-11-01T12:00:00-0500", "2026-11-01T17:00:00Z"),
        ("2026-11-01 12:00:00.5+02", "2026-11-01T10:00:00.500000Z"),
        ("2026-11-01T12:00:00.1234567Z", "2026-11-01T12:00:00.123456Z"),
        ("2026-11-01T12:00", "2026-11-01T12:00:00Z"),
        ("2026-11-01", "2026-11-01T00:00:00Z"),
        ("1969-07-20T20:17:40Z", "1969-07-20T20:17:40Z"),
    ],
)
def test_a_time_becomes_rfc_3339_in_utc(text: str, timestamp: str) -> None:
    assert as_timestamp(as_datetime(text)) == timestamp


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        ("2026-11-01T03:30:00Z", "America/New_York", "2026-10-31"),
        ("2026-11-01T03:30:00+09:00", "UTC", "2026-10-31"),
        ("2026-11-01T20:00:00.5Z", "Asia/Tokyo", "2026-11-02"),
        ("0001-01-01T00:00:00Z", "America/New_York", "0001-01-01"),
        ("9999-12-31T23:00:00Z", "Asia/Tokyo", "9999-12-31"),
    ],
)
def test_a_day_is_that_of_the_zone_and_at_the_ends_of_the_calendar_that_of_utc(
    moment: str, zone: str, day: str
) -> None:
    assert day_of(moment, ZoneInfo(zone)) == day


@pytest.mark.parametrize("value", ["tomorrow", "2026-13-01", "2026-11-01T25:00:00Z", 1700000000, None, "20261101", ""])
def test_what_is_no_time_is_refused(value: JSON) -> None:
    with pytest.raises(ValueError, match="needs a time"):
        as_datetime(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**11), max_value=10**11))
def test_an_amount_becomes_the_number_with_its_very_digits(amount: Decimal) -> None:
    assert Decimal(repr(as_number(amount))) == amount


def test_canonical_json_has_one_text_for_equal_values() -> None:
    assert canonical(["Order", 5, 5.0, "5", {"b": 1, "a": None}]) == b'["Order",5,5,"5",{"a":null,"b":1}]'
