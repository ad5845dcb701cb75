"""Questions about persons, in: a text or a uuid, and the database; out: persons as the page shows them.

Knows SQL, not how a person looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from sandbox.posthog.database import EPOCH
from sandbox.posthog.pages.lines import NAMES, ONE_MICROSECOND, containing, like, like_value, name_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sandbox.posthog.database import Database

PROFILES_A_PAGE = 50
SELECT = (
    "select p.uuid, p.properties, p.is_identified, p.created_at_microseconds, "
    "(select json_group_array(distinct_id) from "
    "(select distinct_id from distinct_ids where person = p.uuid order by number)) "
    "from persons p where {} order by p.created_at_microseconds desc, p.uuid desc limit ?"
)
EXACTLY = (
    "p.uuid in (select person from distinct_ids where distinct_id in (?, lower(?))) "
    "or lower(json_extract(p.properties, '$.email')) = lower(?)"
)
FULL_NAME = "json_extract(p.properties, '$.first_name') || ' ' || json_extract(p.properties, '$.last_name')"

_PROPERTIES = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_IDS = msgspec.json.Decoder(list[str])


@dataclass(frozen=True)
class Profile:
    """One person; numbers are exact."""

    uuid: str
    properties: dict[str, Any]
    is_identified: bool
    created_microseconds: int
    distinct_ids: list[str]

    @property
    def title(self) -> str:
        """What the person is called: by name, e-mail or, for want of both, a distinct id."""
        return name_in(self.properties) or self.distinct_ids[0]

    @property
    def email(self) -> str:
        """The e-mail, empty if none is known."""
        return str(self.properties.get("email") or "")

    @property
    def created_at(self) -> datetime:
        """When PostHog first heard of the person, in UTC: the time of an event, not of its arrival."""
        return EPOCH + self.created_microseconds * ONE_MICROSECOND

    @property
    def cursor(self) -> str:
        """The person's place in the list, for the next page."""
        return f"{self.created_microseconds}.{self.uuid}"


def profile_of(database: Database, uuid: str) -> Profile | None:
    """Read one person."""
    return next(iter(_profiles(database, "p.uuid = ?", [uuid], 1)), None)


def profiles_before(database: Database, cursor: str) -> list[Profile]:
    """Read a page of persons and one more if there are more, newest first; raises ValueError for a bad cursor."""
    if not cursor:
        return _profiles(database, "true", [], PROFILES_A_PAGE + 1)
    created, uuid = cursor.split(".")
    return _profiles(
        database, "(p.created_at_microseconds, p.uuid) < (?, ?)", [int(created), uuid], PROFILES_A_PAGE + 1
    )


def profiles_named(database: Database, wanted: str) -> list[Profile]:
    """Find persons by e-mail or distinct id; if nobody has it, those in whose names or e-mail it stands."""
    exact = _profiles(database, EXACTLY, [wanted] * 3, PROFILES_A_PAGE)
    if exact:
        return exact
    # A look at the text first, as it is quicker than to read all the JSON.
    words = [containing("p.properties", word) for word in wanted.split()]
    rough = " and ".join(sql for sql, _ in words) or "true"
    names = [*(f"json_extract(p.properties, '$.{name}')" for name in NAMES), FULL_NAME]
    where = f"{rough} and ({' or '.join(like(name) for name in names)})"
    values = [value for _, forms in words for value in forms]
    return _profiles(database, where, [*values, *[like_value(wanted)] * len(names)], PROFILES_A_PAGE)


def _profiles(database: Database, where: str, values: Sequence[Any], limit: int) -> list[Profile]:
    return [
        Profile(uuid, _PROPERTIES.decode(text), bool(identified), created, _IDS.decode(ids))
        for uuid, text, identified, created, ids in database.ask(SELECT.format(f"({where})"), [*values, limit])
    ]
