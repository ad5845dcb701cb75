"""Receipts in a SQLite file, for one machine.

Two targets can share it; what both have under way at the same moment can cross the wire twice, as a file has no lock
that could be kept while PostHog is asked.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from target_posthog.errors import RunError
from target_posthog.receipts.reserve import Reserve
from target_posthog.receipts.store import (
    MOST_IN_A_STATEMENT,
    OTHER_VERSION,
    REBUILT,
    TABLES,
    VERSION,
    Claim,
    Fact,
    Found,
    KnownFact,
    Said,
    Store,
    parts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

SECONDS_FOR_ANOTHER_WRITER = 60
# How many values a statement takes: SQLite keeps those that it has prepared, by their text.
SIZES = (8, 64, 256, MOST_IN_A_STATEMENT)
CACHE_KIB = 32_768
# A run that can't write its receipts ends, but what it has sent by then would be sent again by the next, and the next.
# So this much is set aside before anything is sent, and given back when the disk is full.
RESERVED_BYTES = 16 * 1024 * 1024  # several times what the requests under way need
PAGES_OF_THE_LOG = 8_192  # 32 MiB: uuids lie all over the table, so that a page is often written again
# Facts lie beside the others of their entity, so that those of a run's next records are on few pages, and are read
# together. What a record is about may have another name since: so the first fact of each entity is found by its uuid,
# too, and with it the others. To find each by its uuid would make a new one three times as dear.
FACTS = "SELECT uuid, digest, sent_as, resend, provisional FROM posthog_receipts_fact WHERE entity IN ({}) LIMIT {}"
MOST_FACTS = 20 * MOST_IN_A_STATEMENT
FACTS_OF_LARGE_ENTITIES = (
    "WITH wanted (entity, uuid) AS (VALUES {}) "
    "SELECT fact.uuid, digest, sent_as, resend, provisional FROM wanted CROSS JOIN posthog_receipts_fact fact "
    "ON fact.entity = wanted.entity AND fact.uuid = wanted.uuid"
)
ANCHORS = "SELECT uuid, entity FROM posthog_receipts_fact WHERE anchor = 1 AND project = ? AND uuid IN ({})"
KEYLESS = "SELECT 1 FROM posthog_receipts_fact WHERE entity = ? LIMIT 1"
# Facts lie by their entities, so this reads all of them, once however many are sought.
WITH_RECEIPT = (
    "SELECT uuid FROM posthog_receipts_fact WHERE project = ? AND hex(uuid) IN (SELECT value FROM json_each(?))"
)
PERSONS = "SELECT key, digest, at FROM posthog_receipts_person WHERE project = ? AND key IN ({})"
ENTITIES = "SELECT key, id, distinct_id FROM posthog_receipts_entity WHERE project = ? AND key IN ({})"
NEW_PROJECT = "INSERT OR IGNORE INTO posthog_receipts_project (key, version) VALUES (?, ?)"
PROJECT = "SELECT id FROM posthog_receipts_project WHERE key = ?"
NEW_KIND = "INSERT OR IGNORE INTO posthog_receipts_kind (rule, event) VALUES (?, ?)"
KIND = "SELECT id FROM posthog_receipts_kind WHERE rule = ? AND event = ?"
NEW_ENTITY = "INSERT OR IGNORE INTO posthog_receipts_entity (id, project, key, distinct_id) VALUES (?, ?, ?, ?)"
# For bytes, truth values and None Python's driver looks for an adapter in vain, which is a third of what a row costs:
# so a uuid is bound as a bytearray, whether it is an anchor as a number, and an empty text for null.
NEW_FACT = "INSERT OR REPLACE INTO posthog_receipts_fact VALUES (?, ?, ?, ?, ?, ?, ?, 0, nullif(?, ''), ?)"
NEW_MONEY = "INSERT OR REPLACE INTO posthog_receipts_money VALUES (?, ?, ?)"
NO_MONEY = "DELETE FROM posthog_receipts_money WHERE entity = ? AND uuid = ?"  # of what had some before
NEW_PERSON = "INSERT OR REPLACE INTO posthog_receipts_person VALUES (?, ?, ?, ?)"
NO_PERSON = "DELETE FROM posthog_receipts_person WHERE project = ? AND key = ?"


class SqliteStore(Store):
    """The receipts of one project in a file, which is made if it isn't there; with `is_read_only` it must be there.

    Raises `RunError` also where the disk, a quota or a limit doesn't leave it room: `reserve` sets some aside, beside
    the files that it is given.
    """

    order = ("entity", "uuid")

    def __init__(
        self,
        path: str,
        key: str,
        *,
        is_read_only: bool = False,
        patience_seconds: float = SECONDS_FOR_ANOTHER_WRITER,
        reserve: Callable[[Sequence[Path]], Reserve] = lambda files: Reserve(files, RESERVED_BYTES),
    ) -> None:
        self._path = Path(path)
        self._lock = threading.RLock()
        self._kinds: dict[tuple[str, str], int] = {}
        self._reserve: Reserve | None = None
        try:
            if not is_read_only:
                self._make_file()
                self._reserve = reserve((self._path, self._path.with_name(f"{self._path.name}-wal")))
            address = f"{self._path.absolute().as_uri()}?mode={'ro' if is_read_only else 'rw'}"
            self._database = sqlite3.connect(
                address, uri=True, timeout=patience_seconds, check_same_thread=False, isolation_level=None
            )
            weakref.finalize(self, self._database.close)
            self._database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            if not is_read_only:
                # With a write-ahead log readers and a writer don't wait for each other; what a power failure takes
                # back is sent again.
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = NORMAL")
                self._database.execute(f"PRAGMA wal_autocheckpoint = {PAGES_OF_THE_LOG}")
                self._make_tables()
            self.project = self._project_of(key, is_read_only=is_read_only)
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from None
        except OSError as error:
            raise self._unusable(error.strerror) from None

    def _make_file(self) -> None:
        if not self._path.parent.exists():
            self._path.parent.mkdir(mode=0o700, parents=True)
            (self._path.parent / ".gitignore").write_text("*\n")
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))

    def _make_tables(self) -> None:
        with self._writing():
            for table in TABLES:
                statement = table.format(
                    identity="PRIMARY KEY",
                    serial="INTEGER PRIMARY KEY",
                    bytes="BLOB",
                    key_of_fact="entity, uuid",
                    without_rowid=" WITHOUT ROWID",
                )
                self._database.execute(statement)

    def _project_of(self, key: str, *, is_read_only: bool) -> int:
        if other := self._database.execute(OTHER_VERSION, (VERSION,)).fetchone():
            raise RunError(
                f"`receipts`: the file {self._path} is of version {other[0]}, this program reads version {VERSION}; "
                "move the file away, then run `target-posthog receipts rebuild`"
            )
        if not is_read_only:
            self._database.execute(NEW_PROJECT, (key, VERSION))
        found = self._database.execute(PROJECT, (key,)).fetchone()
        return int(found[0]) if found else 0

    def _unusable(self, reason: str | None) -> RunError:
        return RunError(
            f"`receipts`: the file {self._path} can't be used ({reason}); make room there, or name a place where this "
            "user can write"
        )

    @override
    def close(self) -> None:
        with self._lock:
            self._give_back()
            self._database.close()

    def _give_back(self) -> None:
        if self._reserve:
            self._reserve.give_back()

    @override
    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._database.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._unusable(str(error)) from None

    @override
    def look_up(self, wanted: Mapping[bytes, str | None]) -> Found:
        keys = list({key: None for key in wanted.values() if key})
        entities = {key: (number, distinct_id) for key, number, distinct_id in self._found(ENTITIES, keys)}
        nobody = -self.project  # what has no entity
        numbers = {key: number for key, (number, _) in entities.items()}
        placed = ((nobody if key is None else numbers.get(key), uuid) for uuid, key in wanted.items())
        facts = self._facts([(number, uuid) for number, uuid in placed if number is not None])
        anchors = dict(self._found(ANCHORS, [bytearray(uuid) for uuid in wanted if uuid not in facts]))
        if anchors:
            anchored = {wanted[uuid]: number for uuid, number in anchors.items()}
            facts |= self._facts([(number, uuid) for uuid, number in anchors.items()])
            facts |= self._facts([(anchored[key], uuid) for uuid, key in wanted.items() if key and key in anchored])
        if self.rows(KEYLESS, nobody):  # what their records are about may be known by now
            facts |= self._facts([(nobody, uuid) for uuid in wanted if uuid not in facts])
        return Found(facts, {key: distinct_id for key, (_, distinct_id) in entities.items()})

    def _facts(self, placed: Sequence[tuple[int, bytes]]) -> dict[bytes, KnownFact]:
        """Return those of some facts that are there, each given with its entity's number; perhaps others, too."""
        numbers = list({number: None for number, _ in placed if number > 0})
        facts: dict[bytes, KnownFact] = {}
        is_large = len(numbers) != len({number for number, _ in placed})  # what has no entity lies in one heap
        for part in parts(numbers):
            padded = _padded(len(part))
            sql = FACTS.format(", ".join("?" * padded), MOST_FACTS)
            rows = self.rows(sql, *part, *[None] * (padded - len(part)))
            facts |= {row[0]: row for row in rows}
            is_large |= len(rows) == MOST_FACTS
        if is_large:
            for pairs in parts([pair for pair in placed if pair[1] not in facts]):
                padded = _padded(len(pairs))
                values = [value for pair in pairs for value in pair] + [None] * 2 * (padded - len(pairs))
                rows = self.rows(FACTS_OF_LARGE_ENTITIES.format(", ".join(["(?, ?)"] * padded)), *values)
                facts |= {row[0]: row for row in rows}
        return facts

    @override
    def with_receipt(self, uuids: Collection[bytes]) -> set[bytes]:
        if not uuids:
            return set()
        wanted = json.dumps([uuid.hex().upper() for uuid in uuids])
        return {uuid for (uuid,) in self.rows(WITH_RECEIPT, self.project, wanted)}

    @override
    def persons(self, keys: Sequence[bytes]) -> dict[bytes, Said]:
        return {row[0]: Said(*row) for row in self._found(PERSONS, keys)}

    def _found(self, sql: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        for part in parts(values):
            padded = _padded(len(part))
            nothing = [None] * (padded - len(part))
            yield from self.rows(sql.format(", ".join("?" * padded)), self.project, *part, *nothing)

    @contextmanager
    @override
    def claim(self, facts: Sequence[Fact], persons: Sequence[Said]) -> Iterator[Claim]:
        try:
            if self._reserve:
                self._reserve.check()
        except OSError as error:
            raise self._unusable(error.strerror) from None
        claim = Claim({fact.uuid for fact in facts}, {person.key for person in persons})
        yield claim
        kept = [fact for fact in facts if fact.uuid not in claim.refused]
        said = [person for person in persons if person.key not in claim.refused]
        unsure = claim.persons & claim.refused  # of one's descriptions in a batch, PostHog may have taken another
        try:
            with self._lock:
                try:
                    self._write(kept, said, unsure)
                except sqlite3.OperationalError:  # such as a full disk
                    self._give_back()
                    self._write(kept, said, unsure)
                    raise
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from None

    def _write(self, facts: Sequence[Fact], persons: Sequence[Said], unsure: Collection[bytes]) -> None:
        with self._writing():
            entities, anchors = self._entities(facts)
            self._database.executemany(
                NEW_FACT,
                [
                    (
                        self.project,
                        bytearray(fact.uuid),
                        self._kind(fact.rule, fact.event),
                        entities[fact.entity] if fact.entity else -self.project,
                        fact.sent_as,
                        fact.at,
                        fact.digest,
                        fact.provisional or "",
                        int(fact.uuid in anchors),
                    )
                    for fact in facts
                ],
            )
            money = [
                (entities[fact.entity], bytearray(fact.uuid), fact.money)
                for fact in facts
                if fact.money and fact.entity
            ]
            self._database.executemany(NEW_MONEY, money)
            again = [fact for fact in facts if fact.is_again and not fact.money]
            without = [(entities[fact.entity], fact.uuid) for fact in again if fact.entity]
            self._database.executemany(NO_MONEY, without)
            self._database.executemany(NEW_PERSON, ((self.project, *person) for person in persons))
            self._database.executemany(NO_PERSON, [(self.project, key) for key in unsure])

    @override
    def scrub(self) -> None:
        self.rows("VACUUM")
        ((is_busy, _, _),) = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if is_busy:
            raise RunError(
                f"`receipts`: another process reads the file {self._path}, beside which what was deleted still lies; "
                "do it again when no run goes on"
            )

    def _entities(self, facts: Sequence[Fact]) -> tuple[dict[str, int], set[bytes]]:
        """Return the numbers of the facts' entities, which are made if they aren't there, and which facts are anchors.

        A fact that is sent again may have been one. Of receipts that were rebuilt, one entity may stand for many.
        """
        wanted = {fact.entity: fact.distinct_id for fact in facts if fact.entity}
        ((last,),) = self.rows("SELECT coalesce(max(id), 0) FROM posthog_receipts_entity")
        rows = [(number, self.project, *entity) for number, entity in enumerate(wanted.items(), last + 1)]
        numbers = {key: number for number, _, key, _ in rows}
        if self._database.executemany(NEW_ENTITY, rows).rowcount < len(rows):  # those that are there keep their number
            numbers = {key: number for key, number, _ in self._found(ENTITIES, list(wanted))}
        firsts = {fact.entity: fact.uuid for fact in reversed(facts)}
        anchors = {firsts[key] for key, number in numbers.items() if number > last}
        anchors |= {fact.uuid for fact in facts if fact.is_again or (fact.entity or "").startswith(REBUILT)}
        return numbers, anchors

    def _kind(self, rule: str, event: str) -> int:
        kind = self._kinds.get((rule, event))
        if kind is None:
            self._database.execute(NEW_KIND, (rule, event))
            ((kind,),) = self._database.execute(KIND, (rule, event))
            self._kinds[rule, event] = kind
        return kind

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            self._kinds.clear()  # new ones are taken back
            if self._database.in_transaction:  # where the disk is full, SQLite has ended it
                self._database.execute("ROLLBACK")
            raise


def _padded(number: int) -> int:
    """Return for how many values a statement for so many is prepared; the rest of them are null."""
    return next(size for size in SIZES if size >= number)
