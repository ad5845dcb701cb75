"""Which ids are usable."""

from __future__ import annotations

import pytest

from target_posthog.mapping.identity import usable


@pytest.mark.parametrize(
    ("value", "distinct_id"),
    [
        ("jane@example.com", "jane@example.com"),
        ("  jane@example.com\n", "jane@example.com"),
        (7, "7"),
        ("ä" * 100, "ä" * 100),
        (0, None),
        (True, None),
        (1.5, None),
        (None, None),
        ([], None),
        ("a\0b", None),
        *((one, None) for one in ("", " ", "null", "NULL", "undefined", "Guest", "'none'", '"NaN"', "[object Object]")),
        *((one, None) for one in ("0", "anonymous", "distinct_id", "email", "00000000-0000-0000-0000-000000000000")),
    ],
)
def test_an_id_is_usable_or_not(value: object, distinct_id: str | None) -> None:
    assert usable(value) == distinct_id


def test_an_id_longer_than_posthog_keeps_is_not_usable_or_becomes_its_hash() -> None:
    long = "x" * 201
    assert usable(long) is None
    assert (usable(long, hash_long=True) or "").startswith("sha256:")
    assert len((usable("ä" * 101, hash_long=True) or "").encode()) <= 200
