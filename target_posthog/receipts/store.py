"""Store of receipts: tables of what PostHog has acknowledged, in a SQLite file or a PostgreSQL database.

Takes and returns receipts of one project, in bulk; decides nothing. The store has distinct ids in it, which may be
e-mail addresses: a file is its owner's alone.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from target_posthog.mapping.language.functions import as_timestamp
from target_posthog.receipts.erasing import NOT_SENT_AS, id_of_nobody

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

Item = TypeVar("Item")
VERSION = 3  # of the tables
RESEND, RESEND_ANYHOW = 1, 2  # 0 for a fact that is not to be sent again
MOST_IN_A_STATEMENT = 1_000
REBUILT = "distinct id: "  # begins the key of an entity that PostHog doesn't name
TABLES = (
    """CREATE TABLE IF NOT EXISTS posthog_receipts_project (
  id INTEGER {identity},
  key TEXT NOT NULL UNIQUE,      -- SHA-256 of the project's API key
  conditions TEXT NOT NULL DEFAULT '{{}}', -- JSON: a fingerprint by stream and rule, of the last run that ended well
  floor BIGINT,                  -- seconds since 1970: facts before it are taken for sent; null for none
  version INTEGER NOT NULL
)""",
    """CREATE TABLE IF NOT EXISTS posthog_receipts_kind (
  id INTEGER {identity},
  rule TEXT NOT NULL,
  event TEXT NOT NULL,           -- the name under which it was sent
  UNIQUE (rule, event)
)""",
    """CREATE TABLE IF NOT EXISTS posthog_receipts_entity (
  id {serial},
  project INTEGER NOT NULL,
  key TEXT NOT NULL,             -- such as gid://shopify/Order/450789469
  distinct_id TEXT NOT NULL,     -- of its first fact
  UNIQUE (project, key)
)""",
    """CREATE TABLE IF NOT EXISTS posthog_receipts_fact (
  project INTEGER NOT NULL,
  uuid {bytes} NOT NULL,
  kind INTEGER NOT NULL,
  entity BIGINT NOT NULL,        -- what it is about; if its record has no key, its project, negated
  sent_as BIGINT NOT NULL,       -- hash of event, distinct id and day, by which PostHog tells events apart; 0: erased
  at BIGINT NOT NULL,            -- seconds since 1970: the event's own time
  digest BIGINT,                 -- hash of the content; null if it isn't known
  resend INTEGER NOT NULL DEFAULT 0,
  provisional TEXT,              -- why it wasn't final when it was sent, reasons with blanks between; null if it was
  anchor INTEGER NOT NULL DEFAULT 1, -- whether it is found by its uuid alone; a file has one such fact for each entity
  PRIMARY KEY ({key_of_fact})
){without_rowid}""",
    """CREATE UNIQUE INDEX IF NOT EXISTS posthog_receipts_anchor
  ON posthog_receipts_fact (project, uuid) WHERE anchor = 1""",
    """CREATE TABLE IF NOT EXISTS posthog_receipts_money (
  entity BIGINT NOT NULL,
  uuid {bytes} NOT NULL,         -- of the fact that carried it
  amounts TEXT NOT NULL,         -- JSON: the amounts that add up, as texts; then what stands beside them
  PRIMARY KEY (entity, uuid)
){without_rowid}""",
    """CREATE TABLE IF NOT EXISTS posthog_receipts_person (
  project INTEGER NOT NULL,
  key {bytes} NOT NULL,          -- hash of who is described or linked, and by which rule
  digest BIGINT NOT NULL,        -- hash of what was said
  at BIGINT NOT NULL,            -- seconds since 1970: of a description, its event's own time; of a link 0
  PRIMARY KEY (project, key)
){without_rowid}""",
)

OTHER_VERSION = "SELECT version FROM posthog_receipts_project WHERE version <> ? LIMIT 1"  # of whichever project
ADOPTED = (
    "SELECT fact.uuid, entity.distinct_id FROM posthog_receipts_fact fact "
    "JOIN posthog_receipts_entity entity ON entity.id = fact.entity "
    "WHERE fact.anchor = 1 AND fact.project = ? AND fact.uuid IN ({})"
)
EXPORTED = (
    "SELECT fact.entity, fact.uuid, kind.rule, kind.event, entity.key, entity.distinct_id, fact.sent_as, fact.at, "
    "fact.digest, fact.provisional, money.amounts "
    "FROM posthog_receipts_fact fact JOIN posthog_receipts_kind kind ON kind.id = fact.kind "
    "LEFT JOIN posthog_receipts_entity entity ON entity.id = fact.entity "
    "LEFT JOIN posthog_receipts_money money ON money.entity = fact.entity AND money.uuid = fact.uuid "
    "WHERE fact.project = ? AND ({columns}) > ({last}) ORDER BY {columns} LIMIT ?"
)
RUNNING_MONEY = (
    "SELECT entity.key, money.uuid, money.amounts FROM posthog_receipts_entity entity "
    "CROSS JOIN posthog_receipts_money money CROSS JOIN posthog_receipts_fact fact "
    "WHERE entity.project = ? AND entity.key IN ({}) AND money.entity = entity.id "
    "AND fact.project = entity.project AND fact.entity = entity.id AND fact.uuid = money.uuid "
    "ORDER BY fact.at, fact.uuid"
)
# A sample is enough to see that another project got the same shop's records: the latest, which it has under the same
# keys also where its receipts were rebuilt. The + keeps databases from sorting all records of the project.
SHARED_WITH = (
    "SELECT other.project FROM (SELECT key FROM posthog_receipts_entity "  # noqa: S608  # a constant of this module
    f"WHERE +project = ? AND substr(key, 1, {len(REBUILT)}) <> '{REBUILT}' ORDER BY id DESC LIMIT 100) AS mine "
    "CROSS JOIN posthog_receipts_project project CROSS JOIN posthog_receipts_entity other "
    "WHERE project.id <> ? AND other.project = project.id AND other.key = mine.key GROUP BY other.project"
)
ENTITIES = "SELECT count(*) FROM posthog_receipts_entity WHERE project = ?"
# What was erased in PostHog on purpose is never sent again.
SELECTED = (
    "SELECT fact.uuid FROM posthog_receipts_fact fact JOIN posthog_receipts_kind kind ON kind.id = fact.kind "
    "LEFT JOIN posthog_receipts_entity entity ON entity.id = fact.entity "
    "WHERE fact.project = ? AND fact.sent_as <> 0 AND {}"
)
OF_PERSON = (
    "SELECT id, key FROM posthog_receipts_entity "
    "WHERE project = ? AND (distinct_id IN ({0}) OR lower(distinct_id) IN ({0})) ORDER BY id"
)
ERASE = (
    (
        "UPDATE posthog_receipts_fact SET sent_as = 0, digest = NULL, resend = 0, provisional = NULL "
        "WHERE project = ? AND entity IN ({})"
    ),
    "DELETE FROM posthog_receipts_money WHERE ? > 0 AND entity IN ({})",
)


class Fact(msgspec.Struct, frozen=True, gc=False):  # made for each event: half the cost of a tuple with names
    """The receipt of a fact; `at` is in seconds since 1970, `digest` None if its content isn't known.

    `provisional` says why it isn't final, `money` is JSON as the table has it, both None for most. With `is_again` it
    takes the place of a receipt that was provisional.
    """

    uuid: bytes
    rule: str
    event: str
    entity: str | None
    distinct_id: str
    sent_as: int
    at: int
    digest: int | None
    provisional: str | None = None
    money: str | None = None
    is_again: bool = False


class Said(NamedTuple):
    """The receipt of what was said of a person or group, or of a link between two ids; `at` as the table has it."""

    key: bytes
    digest: int
    at: int = 0


# What a run has to know of a fact that was sent, as a database gives it: uuid, digest, what it was sent as, whether to
# send it again, and why it wasn't final.
KnownFact = tuple[bytes, int | None, int, int, str | None]


class Found(NamedTuple):
    """What a store knows of some facts: those that were sent, by uuid, and their entities' distinct ids."""

    facts: dict[bytes, KnownFact]
    distinct_ids: dict[str, str]


@dataclass
class Claim:
    """What may be sent now, and the distinct ids that entities have; the last two are for the sender to fill.

    When a claim ends well, what was granted and not refused has its receipt.
    """

    facts: set[bytes]
    persons: set[bytes]
    distinct_ids: dict[str, str] = field(default_factory=dict)
    resent: set[bytes] = field(default_factory=set)  # facts that had a receipt and were marked to be sent again
    refused: set[bytes] = field(default_factory=set)
    corrected: dict[bytes, int] = field(default_factory=dict)  # by uuid: `sent_as` under the id that they have


def parts(values: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield values in parts that are small enough for a statement."""
    rest = iter(values)
    while part := list(islice(rest, MOST_IN_A_STATEMENT)):
        yield part


def time_of(seconds: int) -> str:
    """Return a moment in seconds since 1970 as events have it."""
    return as_timestamp(datetime.fromtimestamp(seconds, timezone.utc))


def hashed_key(api_key: str) -> str:
    """Return what a project's API key is kept as."""
    return hashlib.sha256(api_key.strip().encode()).hexdigest()


class Store(ABC):
    """The receipts of one project; safe to use from several threads. Raises `RunError` if it can't be used."""

    project: int
    order: tuple[str, ...]  # the columns by which facts lie, their uuid last

    @abstractmethod
    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401  # what a database takes
        """Run a statement with `?` for its values and return its rows, if it has some; it is committed."""

    @abstractmethod
    def look_up(self, wanted: Mapping[bytes, str | None]) -> Found:
        """Return what is known of facts, each given with the key of its entity."""

    @abstractmethod
    def with_receipt(self, uuids: Collection[bytes]) -> set[bytes]:
        """Return which of some facts have a receipt, where it isn't known what they are about."""

    @abstractmethod
    def persons(self, keys: Sequence[bytes]) -> dict[bytes, Said]:
        """Return what was said of persons last, by key."""

    @abstractmethod
    def claim(self, facts: Sequence[Fact], persons: Sequence[Said]) -> AbstractContextManager[Claim]:
        """Return the context in which these are sent; when it ends with an error, no receipt is written."""

    @abstractmethod
    def close(self) -> None:
        """Close the store."""

    def adopted(self, uuids: Sequence[bytes]) -> dict[bytes, str]:
        """Return the distinct ids under which facts were sent, by uuid, as far as they are known."""
        found: dict[bytes, str] = {}
        for part in parts(uuids):
            found |= dict(self.rows(ADOPTED.format(", ".join("?" * len(part))), self.project, *part))
        return {bytes(uuid): distinct_id for uuid, distinct_id in found.items()}

    def running_money(self, entities: Sequence[str]) -> dict[str, list[tuple[bytes, str]]]:
        """Return the uuid and the money of each fact of some entities, oldest first, by the entity's key."""
        found: dict[str, list[tuple[bytes, str]]] = {}
        for part in parts(entities):
            rows = self.rows(RUNNING_MONEY.format(", ".join("?" * len(part))), self.project, *part)
            for key, uuid, amounts in rows:
                found.setdefault(key, []).append((bytes(uuid), amounts))
        return found

    @property
    def conditions(self) -> dict[str, dict[str, str]]:
        """The rules' fingerprints of the last run that ended well, by stream and rule."""
        ((text,),) = self.rows("SELECT conditions FROM posthog_receipts_project WHERE id = ?", self.project)
        conditions: dict[str, dict[str, str]] = msgspec.json.decode(text)
        return conditions

    @conditions.setter
    def conditions(self, conditions: dict[str, dict[str, str]]) -> None:
        text = msgspec.json.encode(conditions).decode()
        self.rows("UPDATE posthog_receipts_project SET conditions = ? WHERE id = ?", text, self.project)

    @property
    def floor(self) -> int:
        """The time, in seconds since 1970, before which facts without a receipt are taken for sent; 0 for none."""
        rows = self.rows("SELECT floor FROM posthog_receipts_project WHERE id = ?", self.project)
        return int(rows[0][0] or 0) if rows else 0

    @floor.setter
    def floor(self, seconds: int) -> None:
        self.rows("UPDATE posthog_receipts_project SET floor = ? WHERE id = ?", seconds, self.project)

    @property
    def is_empty(self) -> bool:
        """Whether the project has no receipt, of a fact or of what was said of a person."""
        return not any(
            self.rows(f"SELECT 1 FROM posthog_receipts_{table} WHERE project = ? LIMIT 1", self.project)  # noqa: S608  # a constant
            for table in ("person", "fact")
        )

    @property
    def is_behind_another(self) -> bool:
        """Whether another project has receipts of the same records, and of more than twice as many."""
        others = [number for (number,) in self.rows(SHARED_WITH, self.project, self.project)]
        if not others:
            return False
        ((own,),) = self.rows(ENTITIES, self.project)
        return any(self.rows(ENTITIES, number)[0][0] > 2 * own for number in others)

    def counts(self) -> list[tuple[str, int, str, str]]:
        """Return for each event its name, the number of facts, and the times of the oldest and the newest."""
        rows = self.rows(
            "SELECT kind.event, count(*), min(fact.at), max(fact.at) FROM posthog_receipts_fact fact "
            "JOIN posthog_receipts_kind kind ON kind.id = fact.kind WHERE fact.project = ? AND fact.sent_as <> 0 "
            "GROUP BY kind.event ORDER BY kind.event",
            self.project,
        )
        return [(event, number, time_of(first), time_of(last)) for event, number, first, last in rows]

    def export(self) -> Iterator[Fact]:
        """Yield the receipt of each fact, in the order in which they lie."""
        columns = ", ".join(f"fact.{name}" for name in self.order)
        last: tuple[Any, ...] = (-self.project - 1, b"")[-len(self.order) :]
        sql = EXPORTED.format(columns=columns, last=", ".join("?" * len(last)))
        while rows := self.rows(sql, self.project, *last, MOST_IN_A_STATEMENT):
            for number, uuid, rule, event, entity, distinct_id, *rest in rows:
                last = (number, bytes(uuid))[-len(self.order) :]
                yield Fact(bytes(uuid), rule, event, entity, distinct_id or "", *rest)

    def add(self, facts: Sequence[Fact]) -> int:
        """Write receipts of facts that have none yet, and return how many were new.

        Of what a fact is about the store may know more than the fact says.
        """
        new = 0
        for part in parts(facts):
            known = {*self.look_up({fact.uuid: fact.entity for fact in part}).facts}
            unsure = [
                fact.uuid for fact in part if fact.uuid not in known and (fact.entity or REBUILT).startswith(REBUILT)
            ]
            known |= self.with_receipt(unsure)
            unknown = list({fact.uuid: fact for fact in part if fact.uuid not in known}.values())
            with self.claim(unknown, []):
                new += len(unknown)
        return new

    def of_person(self, ids: Collection[str]) -> list[tuple[int, str]]:
        """Return the numbers and the keys of the records whose events have one of some distinct ids, as `forms_of`."""
        found: dict[int, str] = {}
        for part in parts(ids):
            found |= dict(self.rows(OF_PERSON.format(", ".join("?" * len(part))), self.project, *part, *part))
        return sorted(found.items())

    def erase(self, records: Sequence[tuple[int, str]], ids: Collection[str]) -> None:
        """Take a person's ids, as `forms_of` has them, out of the receipts of the person's records.

        What was sent of these is never sent again, and isn't missing; what comes later is of nobody. The ids go last,
        so that what was broken off is found again.
        """
        for part in parts(records):
            for statement in ERASE:
                self.rows(statement.format(", ".join("?" * len(part))), self.project, *(number for number, _ in part))
            for number, key in part:
                nobody = id_of_nobody()
                is_telling = any(key.lower() in (id_, f"{REBUILT}{id_}") or f'"{id_}"' in key.lower() for id_ in ids)
                self.rows(
                    "UPDATE posthog_receipts_entity SET distinct_id = ?, key = ? WHERE id = ?",
                    *(nobody, f"{REBUILT}{nobody}" if is_telling else key, number),
                )
        self.scrub()

    @abstractmethod
    def scrub(self) -> None:
        """Leave nothing of what was deleted where it lay, as far as that is the store's."""

    def erased(self) -> set[bytes]:
        """Return the uuids of the facts that were erased."""
        sql = "SELECT uuid FROM posthog_receipts_fact WHERE project = ? AND sent_as = ?"
        return {bytes(uuid) for (uuid,) in self.rows(sql, self.project, NOT_SENT_AS)}

    def forget(self) -> None:
        """Delete all receipts of the project."""
        self.rows(
            "DELETE FROM posthog_receipts_money WHERE entity IN "
            "(SELECT id FROM posthog_receipts_entity WHERE project = ?)",
            self.project,
        )
        for table in ("fact", "person", "entity"):
            self.rows(f"DELETE FROM posthog_receipts_{table} WHERE project = ?", self.project)  # noqa: S608  # a constant
        self.rows("UPDATE posthog_receipts_project SET conditions = '{}', floor = NULL WHERE id = ?", self.project)

    def persons_number(self) -> int:
        """Return how many descriptions of persons and groups, and links, have a receipt."""
        ((number,),) = self.rows("SELECT count(*) FROM posthog_receipts_person WHERE project = ?", self.project)
        return int(number)

    def forget_persons(self) -> None:
        """Delete the receipts of what was said of persons and groups, so that the next full refresh says it again."""
        self.rows("DELETE FROM posthog_receipts_person WHERE project = ?", self.project)

    def move_to(self, key: str) -> None:
        """Make the receipts those of the project with another API key, given as `hashed_key`."""
        self.rows("DELETE FROM posthog_receipts_project WHERE key = ? AND id <> ?", key, self.project)
        self.rows("UPDATE posthog_receipts_project SET key = ? WHERE id = ?", key, self.project)

    def count(self, where: str, values: Sequence[Any]) -> int:
        """Count facts by a condition on `fact`, `kind` and `entity`."""
        selected = SELECTED.format(where)
        ((number,),) = self.rows(f"SELECT count(*) FROM ({selected}) AS selected", self.project, *values)  # noqa: S608  # the code's own text
        return int(number)

    def mark(self, where: str, values: Sequence[Any], resend: int) -> int:
        """Mark facts to be sent again, by a condition on `fact`, `kind` and `entity`; return how many there are."""
        selected, number = SELECTED.format(where), self.count(where, values)
        self.rows(
            f"UPDATE posthog_receipts_fact SET resend = ? WHERE project = ? AND uuid IN ({selected})",  # noqa: S608  # the same
            resend,
            self.project,
            self.project,
            *values,
        )
        return number
