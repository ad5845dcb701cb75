"""Every HogQL text of the project: what its commands ask, and the SQL of its documents."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from target_posthog.books.arrived import events_of, sums
from target_posthog.books.entries import Properties
from target_posthog.books.figures import BESIDE, SALES
from target_posthog.posthog.query_api import TooMuchError
from target_posthog.posthog.stored_events import rows_by_uuid, stored_events

ROOT = Path(__file__).parents[3]
START = datetime(2026, 10, 24, 12, 0, 0, 1, tzinfo=timezone.utc)
UUID = "c3b1c2de-8a5e-5d6b-9d7f-3f0c2b1a4e5d"


class Recorder:
    """Stands in the place of a `QueryApi`, notes what it is asked and answers as it is told to."""

    def __init__(self, *answers: Any) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)

    def rows(self, query: str, name: str) -> list[list[Any]]:
        assert name, "PostHog's query log shows it"
        self.asked.append(query)
        answer = self._answers.pop(0) if self._answers else []
        if isinstance(answer, Exception):
            raise answer
        return answer


def product_questions(name: str = "Order Completed", named: str = "revenue") -> dict[str, str]:
    """Return each form of question that the commands ask, for an event and a property of some names."""
    properties, zone = {name: Properties((named,), "currency", "order_name", "affiliation")}, ZoneInfo("Europe/Berlin")
    books = {name: Properties((*SALES, *BESIDE), "currency", "order_name", "affiliation")}  # as the shipped mapping's
    found = {}
    recorder = Recorder()
    sums(recorder, properties, "2026-10-20", "2026-11-08", zone)
    sums(recorder, {name: Properties((named,))}, "2026-10-25", "2026-10-25", zone)
    sums(recorder, books, "2026-10-20", "2026-11-08", zone)
    list(events_of(recorder, books, ["2026-10-25"], zone))
    list(events_of(recorder, properties, ["2026-10-25", "2026-10-26", "2026-11-01"], zone))
    rows_by_uuid(recorder, [{"uuid": UUID, "event": name, "timestamp": "2026-10-25T10:00:00Z"}])
    page = [[UUID, name, "a@x.io", "2026-10-25 10:00:00.000001", 1, "2026-11-20 00:00:00.000000"]] * 2
    page[0] = ["a" + UUID[1:], *page[0][1:]]
    paged = Recorder(page)
    list(stored_events(paged, [name, "other"], START, START + timedelta(days=9), page_rows=2))
    narrowed = Recorder(TooMuchError("too_many_bytes"))
    list(stored_events(narrowed, [name], START, START + timedelta(days=9)))
    words = [
        "sums",
        "sums without currency",
        "sums of all figures",
        "all figures of a day",
        "events of days",
        "events of a day",
        "events known",
    ]
    found |= dict(zip(words, recorder.asked, strict=True))
    found |= dict(zip(["first page", "next page"], paged.asked, strict=True))
    found |= dict(zip(["the whole", "first half", "second half"], narrowed.asked, strict=True))
    return found


def document_questions() -> dict[str, str]:
    """Return the SQL blocks of the documents, by place."""
    return {
        f"{path.relative_to(ROOT)} {at}": block
        for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        for at, block in enumerate(
            re.findall(r"^```sql\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL), 1
        )
    }
