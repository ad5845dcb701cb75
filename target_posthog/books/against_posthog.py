"""Comparison with PostHog: its figures by day of each shop, and each event of the days on which they aren't as planned.

Takes the books of a preview and PostHog's query API; fills the balance.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

from target_posthog.books.arrived import events_of, sums
from target_posthog.books.differences import (
    LEDGER,
    NOTHING_IN_FLIGHT,
    PLANNED,
    POSTHOG,
    Evidence,
    InFlight,
    Place,
    of_arrivals,
)
from target_posthog.books.figures import less
from target_posthog.mapping.event import may_be_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from target_posthog.books.arrived import Arrived, Key, Sum
    from target_posthog.books.bookkeeper import Bookkeeper
    from target_posthog.books.differences import Planned
    from target_posthog.posthog.query_api import Project, QueryApi

    Acknowledged = Callable[[Sequence[bytes]], Collection[bytes]]


@dataclass(frozen=True)
class Traces:
    """What the runs have left beside what PostHog has.

    `dead_letters` are reasons by the key of a record, `acknowledged` returns which of some uuids have a receipt (None
    without receipts), `in_flight` says what may be on its way, and `erased` has the uuids of what was erased.
    """

    dead_letters: Mapping[str, str] = field(default_factory=dict)
    acknowledged: Acknowledged | None = None
    in_flight: InFlight = NOTHING_IN_FLIGHT
    erased: Collection[bytes] = ()


def compare(keeper: Bookkeeper, api: QueryApi, traces: Traces) -> None:
    """Enter what PostHog has, and name why it isn't what was planned; raises `RunError`."""
    balance = keeper.balance
    balance.columns[POSTHOG] = {}
    _look_at(keeper, api.project())
    by_zone: dict[str, list[str]] = defaultdict(list)
    for shop, zone in balance.time_zones.items():
        by_zone[zone].append(shop)
    named: set[str] = set()  # uuids of events of other sources, each of which is named once, whatever the zones
    for zone, shops in by_zone.items():
        _Comparison(keeper, api, traces, ZoneInfo(zone), shops=shops, named=named).run()


def _look_at(keeper: Bookkeeper, project: Project | None) -> None:
    """Note what of the project's settings bears on the comparison."""
    balance = keeper.balance
    if project is None:
        balance.notes.append(
            "The personal API key may not read the project's settings (scope project:read): if PostHog gives no "
            "events older than some months, they look as if they were missing"
        )
        return
    zones = sorted({*balance.time_zones.values()})
    balance.kept_from = project.kept_from(datetime.now(ZoneInfo(zones[0])))
    places = balance.columns.get(LEDGER, {}).keys() | balance.columns.get(PLANNED, {}).keys()
    days = {place.day for place in places if place.day < balance.kept_from}
    if days:
        balance.notes.append(
            f"PostHog gives no events older than {project.kept_months} months: what is from before "
            f"{balance.kept_from} ({len(days):,} days) isn't compared with it"
        )
    if zones != [project.time_zone]:
        balance.notes.append(
            f"Days are those of {', '.join(zones)}; PostHog's project shows those of {project.time_zone}"
        )


class _Comparison:
    """The comparison of the shops of one time zone."""

    def __init__(  # noqa: PLR0913  # what is compared, and with what
        self,
        keeper: Bookkeeper,
        api: QueryApi,
        traces: Traces,
        zone: ZoneInfo,
        *,
        shops: Collection[str],
        named: set[str],
    ) -> None:
        self._keeper, self._api, self._traces, self._zone, self._shops = keeper, api, traces, zone, shops
        self._named = named
        self._balance = keeper.balance
        self._by_name = {shop.name: shop.id for shop in self._balance.shops.values()}
        if len(self._balance.shops) == 1:
            self._by_name[""] = next(iter(self._balance.shops))  # events that don't name their shop
        self._numbers: dict[Place, int] = defaultdict(int)
        self._others: dict[str, list[tuple[Key, Sum]]] = defaultdict(list)  # of shops that aren't in the preview

    def run(self) -> None:
        places = [place for column in self._balance.columns.values() for place in column]
        own = [place.day for place in places if place.shop in self._shops]
        days = own or [place.day for place in places]  # of shops without sales PostHog should have none either
        first = max(min(days), self._balance.kept_from)
        last = max(*days, *(self._keeper.previewed_on(shop) for shop in self._shops))
        if first > last:
            return
        for key, found in sums(self._api, self._keeper.events, first, last, self._zone).items():
            if key.shop in self._by_name:
                self._enter(key, found, self._by_name[key.shop])
            else:
                self._others[key.shop].append((key, found))
        of_others = {key.day for found in self._others.values() for key, total in found if total.others}
        if differing := self._differing(first) | of_others:
            # An order that is taken back explains what differs on the days before.
            self._name_differences(differing | self._keeper.days_of_deletions)
        self._tell_of_others()

    def _enter(self, key: Key, found: Sum, shop: str) -> None:
        if shop not in self._shops:
            return
        place = Place(shop, key.currency, key.day)
        self._balance.put(POSTHOG, place, found.figures)
        self._numbers[place] += found.number
        if found.copies:
            self._balance.copies[key.event] = self._balance.copies.get(key.event, 0) + found.copies

    def _differing(self, first: str) -> set[str]:
        """Return the days on which PostHog has other figures, or another number of events, than was planned."""
        planned, arrived = (self._balance.columns.get(side, {}) for side in (PLANNED, POSTHOG))
        return {
            place.day
            for place in planned.keys() | arrived.keys()
            if place.shop in self._shops
            and place.day >= first
            and (
                less(planned.get(place, {}), arrived.get(place, {}))
                or self._keeper.counts.get(place, 0) != self._numbers[place]
            )
        }

    def _name_differences(self, days: set[str]) -> None:
        planned = self._keeper.planned_of(days, self._shops)
        arrived = list(events_of(self._api, self._keeper.events, days, self._zone))
        self._know_renamed(planned, arrived)
        strangers = [event for event in arrived if self._is_of_another_source(event)]
        self._named.update(event.uuid for event in strangers)
        ours = [event for event in arrived if event.uuid in planned or self._by_name.get(event.shop) in self._shops]
        missing = list(planned.keys() - {event.uuid for event in ours})
        has_ledger = self._keeper.has_ledger
        evidence = Evidence(
            previewed_on={shop: self._keeper.previewed_on(shop) for shop in self._shops},
            dead_letters=self._keeper.named(self._traces.dead_letters),
            deletions=self._keeper.deletions,
            acknowledged=self._acknowledged(missing),
            erased={uuid for uuid in missing if UUID(uuid).bytes in self._traces.erased},
            shops=self._by_name,
            in_flight=self._traces.in_flight,
            may_change=not has_ledger,
        )
        self._balance.differences += of_arrivals(planned, [*ours, *strangers], evidence)

    def _is_of_another_source(self, event: Arrived) -> bool:
        """Say whether an event names none of the preview's shops and can't be ours, and nobody has named it yet."""
        return event.shop not in self._by_name and not may_be_ours(event.uuid) and event.uuid not in self._named

    def _acknowledged(self, uuids: Sequence[str]) -> set[str] | None:
        if self._traces.acknowledged is None:
            return None
        found = self._traces.acknowledged([UUID(uuid).bytes for uuid in uuids])
        return {str(UUID(bytes=bytes(uuid))) for uuid in found}

    def _know_renamed(self, planned: Mapping[str, tuple[str, Planned]], arrived: Sequence[Arrived]) -> None:
        """Learn from planned events that PostHog has under another shop's name that this is a former name."""
        for event in arrived:
            if event.uuid in planned and event.shop not in self._by_name:
                shop = planned[event.uuid][1].place.shop
                self._by_name[event.shop] = shop
                for key, found in self._others.pop(event.shop, []):
                    self._enter(key, found, shop)
                self._balance.notes.append(
                    f"{self._balance.shops[shop].name} was called {event.shop or 'nothing'} when some events were sent"
                )

    def _tell_of_others(self) -> None:
        for name, found in self._others.items():
            number = sum(total.number - total.others for _, total in found)
            if not number:
                continue
            sentence = f"{number:,} events of {name or 'no shop'} aren't compared: the preview has no such shop"
            if sentence not in self._balance.notes:
                self._balance.notes.append(sentence)
