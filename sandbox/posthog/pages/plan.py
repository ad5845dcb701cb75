"""The pages that only a preview has, in: a preview file and a URL; out: its plan, and its records explained.

Knows what a plan holds, not how it came about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import abort, render_template, request

from sandbox.posthog.preview_file import RECORDS_A_PAGE

if TYPE_CHECKING:
    from flask import Blueprint

    from sandbox.posthog.preview_file import Head, PreviewFile

PLACES = {
    "distinct_id": "in the distinct id",
    "properties": "on the event",
    "set": "on the person",
    "set_once": "on the person, once",
    "unset": "on the person",
    "group_set": "on the group",
}


@dataclass(frozen=True)
class Plan:
    """What a preview announced, as it stands in the file, with the figures that a page adds."""

    body: dict[str, Any]
    samples: dict[str, Head]

    @classmethod
    def of(cls, preview: PreviewFile) -> Plan:
        """Take the plan of a preview, and find the record of each sample."""
        samples = {name: one["sample"] for name, one in preview.plan["events"].items() if one["sample"]}
        found = {name: preview.record_of_event(one["event"]["uuid"]) for name, one in samples.items()}
        return cls(preview.plan, {name: head for name, head in found.items() if head})

    @staticmethod
    def named(examples: list[str]) -> list[str]:
        """The records that a warning names, one by one."""
        return [name for example in examples for name in example.split(" and ")]

    @property
    def already_there(self) -> int:
        """How many events PostHog has already."""
        return sum(one["already_there"] for one in self.body["events"].values())

    @property
    def undeliverable(self) -> int:
        """How many records a run couldn't deliver."""
        return sum(one["records"] for one in self.body["undeliverable"])

    @property
    def not_sent(self) -> int:
        """How many records become no events."""
        kept_back = [one["records"] for kind in ("left_out", "undeliverable") for one in self.body[kind]]
        return sum([*kept_back, *self.body["without_events"].values()])

    @property
    def personal(self) -> list[tuple[str, str, int]]:
        """Which personal facts would leave: name, where it stands, on how many events."""
        return [(one["name"], PLACES.get(one["place"], one["place"]), one["events"]) for one in self.body["personal"]]


def add_routes(pages: Blueprint, preview: PreviewFile) -> None:
    """Add the routes of records to those of the page."""

    @pages.get("/records")
    def records() -> str:
        stream, reason = request.args.get("stream", ""), request.args.get("left_out", "")
        undeliverable, eventless = "undeliverable" in request.args, "eventless" in request.args
        after = request.args.get("after", 0, type=int)
        found = preview.records(stream, reason, undeliverable=undeliverable, eventless=eventless, after=after)
        asked = {key: value for key, value in request.args.items() if key != "after"}
        return render_template(
            "records.html",
            heads=found[:RECORDS_A_PAGE],
            asked=asked,
            later=after > 0,
            streams=preview.plan["records"],
            reasons=preview.plan["left_out"],
            next=found[RECORDS_A_PAGE - 1].number if len(found) > RECORDS_A_PAGE else None,
        )

    @pages.get("/records/<int:number>")
    def record(number: int) -> str:
        found = preview.record(number)
        if found is None:
            abort(404, f"There is no record {number}.")
        masked = "masked" in request.args
        return render_template("record.html", record=found.masked() if masked else found, masked=masked)
