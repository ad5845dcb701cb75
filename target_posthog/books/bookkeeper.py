"""Bookkeeper: enters what a preview's file says of money into the books, and judges it by the shop's own report.

Takes the file; fills a balance. Why the report and the ledger differ is decided in `readings.py`, why the ledger and
the planned events do in `differences.py`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from typing_extensions import override

from target_posthog.books.accounts import shop_of
from target_posthog.books.balance import Balance
from target_posthog.books.differences import (
    LEDGER,
    PLANNED,
    REPORT,
    Booked,
    BookedRecord,
    Difference,
    Place,
    Planned,
    of_record,
)
from target_posthog.books.entries import Books
from target_posthog.books.figures import ZERO, add, less
from target_posthog.books.readings import explained, gaps
from target_posthog.books.report import reported
from target_posthog.errors import RunError
from target_posthog.mapping.language.functions import as_decimal, day_of
from target_posthog.preview.plan import UTC

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from target_posthog.books.accounts import Account, Shop
    from target_posthog.books.balance import Column
    from target_posthog.books.entries import Properties
    from target_posthog.books.figures import Figures
    from target_posthog.preview.file import KnownRecord, PlannedEvent, PreviewFile

MOST_NAMES = 3
UNFINISHED = "the day wasn't over when the shop was read"
NO_LEDGER = "Shopify gives no ledger for it: only its original total is known"
OTHER_CURRENCY = "orders in another currency than the shop has now, which Shopify's report converts"
NOTHING_READ = "no order of that day was read: does the app lack read_all_orders?"
UNEXPLAINED = "no known way to read the ledger explains it"


@dataclass
class Names:
    """The names of some records, the first few of them."""

    first: dict[str, None] = field(default_factory=dict)
    number: int = 0
    last: str | None = None

    def add(self, name: str) -> None:
        """Count a name, once if it comes again at once."""
        if name == self.last:
            return
        self.last = name
        self.number += 1
        if len(self.first) < MOST_NAMES:
            self.first[name] = None

    @override
    def __str__(self) -> str:
        more = self.number - len(self.first)
        return ", ".join(self.first) + (f" and {more:,} more" if more > 0 else "")


class Bookkeeper:
    """Keeps the books of one preview, by the days of each shop's time zone, or else of `time_zone` (an IANA name).

    Raises `RunError` if the preview's mapping has no books, or a zone isn't known.
    """

    def __init__(self, preview: PreviewFile, time_zone: str = UTC) -> None:
        self._preview = preview
        found = json.loads(preview.meta.get("books") or "{}")
        self._books = {stream: Books(stream, spec) for stream, spec in found.items()}
        if not any(books.rules for books in self._books.values()):
            raise RunError(
                f"The mapping `{preview.meta.get('mapping')}` has no `books`, which name the money of its records; "
                "docs/mapping.md says how to add them"
            )
        self._usual_zone = _zone(time_zone, "`time_zone`")
        self.zones: dict[str, ZoneInfo] = {}
        self._currencies: dict[str, str] = {}  # of shops, as their reports have it
        self._readings: dict[tuple[str, str], dict[str, Column]] = {}  # by shop and currency, then by name
        self._named: dict[tuple[str, Place], Names] = {}  # orders behind a reading or a reason
        self.has_ledger = any(books.has_ledger for books in self._books.values())
        self.counts: dict[Place, int] = defaultdict(int)  # of planned events
        self.events: dict[str, Properties] = {}  # the properties of the events that carry money, by name
        self.deletions: set[str] = set()  # the names of events that take an order back
        self.days_of_deletions: set[str] = set()  # on which such events are planned
        self._name_events()
        self.balance = Balance()

    def read(self) -> None:
        """Enter the shop's own report, the records as they were read, and the events that were planned for them."""
        for stream, books in self._books.items():
            if books.is_report:
                self._read_report(stream)
        for stream, books in self._books.items():
            if books.rules:
                for known, record in self._booked(stream, books):
                    self._enter(known, record)
        if REPORT not in self.balance.columns:
            if any(books.is_report for books in self._books.values()):
                self.balance.notes.append(
                    "Shopify's own report wasn't read: with the scope read_reports (stream sales_by_day) it is the "
                    "first column"
                )
            return
        for shop, currency in self._currencies.items():
            self._judge(shop, currency)
            others = sorted(other for of_shop, other in self.balance.books() if of_shop == shop and other != currency)
            if others:
                name = self.balance.shops[shop].name
                self._note(
                    f"Orders in {', '.join(others)} are of another currency than {name} has now ({currency}): "
                    "Shopify's report converts them, and has no column for them"
                )

    def check_money(self) -> None:
        """Raise `RunError` for a preview that has nothing to compare, as that of a run without orders."""
        if not self.balance.books():
            raise RunError(
                "The preview holds no money to compare: no order of it has any; does it read the streams and the time "
                "that the runs read?"
            )

    def named(self, reasons: Mapping[str, str]) -> dict[tuple[str, str], str]:
        """Return what is given by the names of records' keys by the shop and the name of each record."""
        found = self._preview.with_keys(list(reasons), list(self._books))
        return {(shop_of(self._preview.body(known.id)).id, known.name): reasons[known.key_name] for known in found}

    def _read_report(self, stream: str) -> None:
        for versions in self._preview.by_key(stream):
            body = self._preview.body(versions[-1].id)
            try:
                report = reported(body)
            except ValueError as error:
                raise RunError(f"`books` of stream `{stream}`, record {versions[-1].name}: {error}") from None
            shop = report.shop.id
            if self.balance.time_zones.get(shop, report.time_zone) != report.time_zone:
                self._note(f"{report.shop.name} has changed its time zone: days are those of {report.time_zone}")
            if self._currencies.get(shop, report.currency) != report.currency:
                self._note(f"{report.shop.name} has changed its currency to {report.currency}")
            self.balance.shops[shop], self._currencies[shop] = report.shop, report.currency
            self.balance.time_zones[shop] = report.time_zone or self._usual_zone.key
            self.zones[shop] = _zone(self.balance.time_zones[shop], f"the time zone of {report.shop.name}")
            self.balance.put(REPORT, Place(shop, report.currency, report.day), report.figures)

    def _note(self, sentence: str) -> None:
        if sentence not in self.balance.notes:
            self.balance.notes.append(sentence)

    def _enter(self, known: KnownRecord, record: BookedRecord) -> None:
        for entry in record.entries:
            self.balance.put(LEDGER, entry.place, entry.figures)
        for event in record.events:
            self.balance.put(PLANNED, event.place, event.figures)
            self.counts[event.place] += 1
            if event.event in self.deletions:
                self.days_of_deletions.add(event.place.day)
        if any(of_record(record, self.deletions)):
            _, explanation, _ = self._preview.content(known.id)
            record = replace(record, reasons=_reasons(known, explanation or []))
            self.balance.differences += of_record(record, self.deletions)

    def _booked(
        self, stream: str, books: Books, *, is_first: bool = True
    ) -> Iterator[tuple[KnownRecord, BookedRecord]]:
        """Yield each record once, as it was read last, with the events of all its versions that count."""
        for versions in self._preview.by_key(stream):
            known = versions[-1]
            events = [
                event for version in versions for event in self._preview.events(version.id) if event.rule in books.rules
            ]
            body = self._preview.body(known.id)
            try:
                account = books.account(body)
                zone = self._zone_of(account.shop)
                entries = [
                    Booked(entry.rule, Place(account.shop.id, account.currency, day_of(entry.at, zone)), entry.figures)
                    for entry in account.entries
                ]
                if is_first:
                    self._keep_readings(known.name, account, entries, zone)
            except ValueError as error:
                raise RunError(f"`books` of stream `{stream}`, record {known.name}: {error}") from None
            planned = [_planned(event, books, account.shop.id, zone) for event in events if not event.repeated]
            yield known, BookedRecord(known.name, entries, planned)

    def _keep_readings(self, name: str, account: Account, entries: Sequence[Booked], zone: ZoneInfo) -> None:
        """Keep how the report may read the record otherwise, and what of it the report can't be held to."""
        shop, currency = account.shop.id, account.currency
        for reading in account.readings:
            place = Place(shop, currency, day_of(reading.at, zone))
            columns = self._readings.setdefault((shop, currency), {}).setdefault(reading.name, {})
            add(columns.setdefault(place, {}), reading.figures)
            self._named.setdefault((reading.name, place), Names()).add(name)
        has_other_currency = currency != self._currencies.get(shop, currency)
        for entry in entries:
            if not account.is_whole:
                self._named.setdefault((NO_LEDGER, entry.place), Names()).add(name)
            if has_other_currency:
                own = entry.place._replace(currency=self._currencies[shop])
                self._named.setdefault((OTHER_CURRENCY, own), Names()).add(name)

    def _zone_of(self, shop: Shop) -> ZoneInfo:
        if shop.id not in self.balance.shops:
            self.balance.shops[shop.id] = shop
            self.balance.time_zones[shop.id] = self._usual_zone.key
        return self.zones.setdefault(shop.id, self._usual_zone)

    def _judge(self, shop: str, currency: str) -> None:
        """Name why the shop's own report and its ledger differ."""
        report, ledger = (
            {
                place.day: figures
                for place, figures in self.balance.columns.get(side, {}).items()
                if place[:2] == (shop, currency)
            }
            for side in (REPORT, LEDGER)
        )
        before = [day for day in ledger if day < min(report)]
        if before:
            net = sum((ledger[day].get("net_sales", ZERO) for day in before), ZERO)
            self.balance.notes.append(
                f"Shopify's report begins on {min(report)}: {len(before):,} days before it (net sales {net:,} "
                f"{currency}) have two columns"
            )
        judged = {day: figures for day, figures in ledger.items() if day >= min(report)}
        names = {name for figures in report.values() for name in figures}
        readings = {
            name: {place.day: figures for place, figures in column.items()}
            for name, column in self._readings.get((shop, currency), {}).items()
        }
        found = explained(gaps(report, judged, names), readings)
        for day in sorted({*found.parts, *found.rest}):
            place = Place(shop, currency, day)
            for name, figures in found.parts.get(day, {}).items():
                orders = str(self._named.get((name, place), ""))
                self._add_of_report(place, orders, less({}, figures), name, is_explained=True)
            if day in found.rest:
                self._add_rest(place, found.rest[day], has_orders=day in ledger)

    def _add_rest(self, place: Place, figures: Figures, *, has_orders: bool) -> None:
        """Enter what no reading explains: an error, unless something is known of the day."""
        without = self._named.get((NO_LEDGER, place))
        converted = self._named.get((OTHER_CURRENCY, place))
        orders, reason, is_explained = "", UNEXPLAINED if has_orders else NOTHING_READ, False
        if place.day >= self.previewed_on(place.shop):
            reason, is_explained = UNFINISHED, True
        elif converted:
            orders, reason, is_explained = str(converted), OTHER_CURRENCY, True
        elif without and "total_sales" not in figures:
            orders, reason, is_explained = str(without), NO_LEDGER, True
        self._add_of_report(place, orders, less({}, figures), reason, is_explained=is_explained)

    def _add_of_report(self, place: Place, orders: str, figures: Figures, reason: str, *, is_explained: bool) -> None:
        self.balance.differences.append(Difference(place, orders, "", (REPORT, LEDGER), figures, reason, is_explained))

    def previewed_on(self, shop: str) -> str:
        """Return the day of a shop on which it was read: the last one, which wasn't over."""
        return day_of(self._preview.meta["made_at"], self.zones[shop])

    def planned_of(self, days: Collection[str], shops: Collection[str]) -> dict[str, tuple[str, Planned]]:
        """Return the events that are planned for some days of some shops, each with its record's name, by uuid."""
        return {
            event.uuid: (record.name, event)
            for stream, books in self._books.items()
            if books.rules
            for _, record in self._booked(stream, books, is_first=False)
            for event in record.events
            if event.place.day in days and event.place.shop in shops
        }

    def _name_events(self) -> None:
        """Note under which names the rules of the books send, whatever a mapping calls them."""
        named: dict[str, dict[str, dict[str, str]]] = json.loads(self._preview.meta.get("rules") or "{}")
        for stream, books in self._books.items():
            rules = {rule: event_names for rule, event_names in named.get(stream, {}).items() if rule in books.rules}
            self.deletions |= {event_names["deleted"] for event_names in rules.values() if event_names["deleted"]}
            names = [
                name
                for event_names in rules.values()
                for name in (event_names["event"], event_names["deleted"])
                if name
            ]
            names += [name for rule, name in self._preview.event_names(stream) if rule in books.rules]
            self.events |= dict.fromkeys(names, books.properties)


def _planned(planned: PlannedEvent, books: Books, shop: str, zone: ZoneInfo) -> Planned:
    event = planned.event
    properties = event["properties"]
    place = Place(shop, str(properties.get(books.properties.currency) or ""), day_of(event["timestamp"], zone))
    found = {name: properties[name] for name in books.properties.figures if properties.get(name) is not None}
    figures = {name: as_decimal(amount) + 0 for name, amount in found.items()}
    return Planned(event["uuid"], planned.rule, event["event"], place, figures, planned.there, event["timestamp"])


def _zone(name: str, whose: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RunError(
            f"{whose} needs the name of a zone that this machine knows, such as Europe/Berlin or UTC"
        ) from None


def _reasons(record: KnownRecord, explanation: list[dict[str, Any]]) -> dict[str, str]:
    """Return why a record has no event, by the rule's name; "" stands for all."""
    if record.left_out:
        return {"": f"left out: {record.left_out}"}
    if record.undeliverable:
        return {"": f"undeliverable: {record.undeliverable}"}
    return {rule["rule"]: f"filtered: {rule['why_not']}" for rule in explanation if not rule["fired"]}
