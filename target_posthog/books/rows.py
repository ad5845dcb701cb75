"""Rows of the books for a preview's file, in which pages find them.

Takes the file when all else is written; returns rows of its tables `book` and `difference`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from target_posthog.books.bookkeeper import Bookkeeper
from target_posthog.books.differences import LEDGER, PLANNED, REPORT
from target_posthog.books.lines import difference_line
from target_posthog.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.preview.file import PreviewFile

    Row = tuple[str, dict[str, str | int]]

NAMES = {REPORT: "report", LEDGER: "ledger", PLANNED: "planned"}


def book_rows(preview: PreviewFile, time_zone: str) -> Iterator[Row]:
    """Yield each row with its table; none for a mapping without books, and a sentence for books that can't be kept."""
    if preview.meta.get("books", "{}") == "{}":
        return
    try:
        keeper = Bookkeeper(preview, time_zone)
        keeper.read()
    except RunError as error:  # a preview shows what is wrong; `reconcile` ends with it
        yield "difference", {"shop": "", "currency": "", "day": "", "line": str(error), "explained": 0}
        return
    balance = keeper.balance
    for side, name in NAMES.items():
        for place, figures in balance.columns.get(side, {}).items():
            amounts = json.dumps({figure: f"{amount:f}" for figure, amount in figures.items()})
            shop, zone = balance.shops[place.shop].name, balance.time_zones[place.shop]
            where = {"shop": shop, "currency": place.currency, "time_zone": zone, "day": place.day}
            yield "book", {**where, "side": name, "figures": amounts}
    for note in balance.notes:
        yield "difference", {"shop": "", "currency": "", "day": "", "line": note, "explained": 1}
    for difference in balance.differences:
        shop = balance.shops[difference.place.shop].name
        where = {"shop": shop, "currency": difference.place.currency, "day": difference.place.day}
        yield "difference", {**where, "line": difference_line(difference), "explained": int(difference.is_explained)}
