"""Receipts in a PostgreSQL database, for many machines.

A claim is a row that isn't committed before PostHog has answered: another target that has the same event waits for it,
and then finds the receipt; targets that have others don't wait. When a target dies, the database rolls its claims back;
if its machine is gone without a word, after as long as a claim can last.
"""

from __future__ import annotations

import logging
import os
import platform
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from typing_extensions import override

from target_posthog.errors import RunError
from target_posthog.receipts.store import (
    OTHER_VERSION,
    RESEND,
    TABLES,
    VERSION,
    Claim,
    Fact,
    Found,
    KnownFact,
    Said,
    Store,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

DRIVER = "postgresql+psycopg"
NAMES = ("postgres", "postgresql", DRIVER)
APPLICATION = "target-posthog"
LONGEST_CLAIM_SECONDS = 1_200.0
SECONDS_BETWEEN_LOOKS = 10.0  # at who holds what is waited for
# https://www.postgresql.org/docs/current/errcodes-appendix.html: lock_not_available, deadlock_detected
WAITED_IN_VAIN = frozenset(("55P03", "40P01"))
TIMEOUTS = "SELECT set_config('lock_timeout', %s, true), set_config('idle_in_transaction_session_timeout', %s, true)"
HOLDERS = (
    "SELECT application_name, coalesce(host(client_addr), 'a socket'), round(extract(epoch FROM now() - xact_start)) "
    "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE ? AND application_name <> ? "
    "AND xact_start IS NOT NULL ORDER BY xact_start LIMIT 1"
)
LOCK_OF_TABLES = 7_203_516_449  # any number that nobody else locks
FACTS = (
    "SELECT uuid, digest, sent_as, resend, provisional FROM posthog_receipts_fact WHERE project = %s AND uuid = ANY(%s)"
)
WITH_RECEIPT = "SELECT uuid FROM posthog_receipts_fact WHERE project = %s AND uuid = ANY(%s)"
PERSONS = "SELECT key, digest, at FROM posthog_receipts_person WHERE project = %s AND key = ANY(%s)"
ENTITIES = "SELECT key, id, distinct_id FROM posthog_receipts_entity WHERE project = %s AND key = ANY(%s)"
# Rows are written in the order of their keys, so that two targets never wait for each other in a circle.
NEW_ENTITIES = (
    "INSERT INTO posthog_receipts_entity (project, key, distinct_id) "
    "SELECT %s, new.* FROM unnest(%s::text[], %s::text[]) AS new (key, distinct_id) ORDER BY new.key "
    "ON CONFLICT DO NOTHING RETURNING key"
)
NO_ENTITIES = "DELETE FROM posthog_receipts_entity WHERE project = %s AND key = ANY(%s)"
NEW_FACTS = (
    "INSERT INTO posthog_receipts_fact AS fact (project, uuid, kind, entity, sent_as, at, digest, provisional) "
    "SELECT %s, new.* FROM unnest(%s::bytea[], %s::integer[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], "
    "%s::text[]) AS new (uuid, kind, entity, sent_as, at, digest, provisional) ORDER BY new.uuid "
    "ON CONFLICT (project, uuid) DO UPDATE SET kind = excluded.kind, sent_as = excluded.sent_as, at = excluded.at, "
    "digest = excluded.digest, provisional = excluded.provisional, resend = 0 "
    "WHERE fact.resend > 0 OR (fact.provisional IS NOT NULL AND fact.uuid = ANY(%s::bytea[])) "
    "RETURNING fact.uuid, fact.xmax = 0"
)
CORRECTED = (
    "UPDATE posthog_receipts_fact AS fact SET sent_as = new.sent_as "
    "FROM unnest(%s::bytea[], %s::bigint[]) AS new (uuid, sent_as) WHERE fact.project = %s AND fact.uuid = new.uuid"
)
NEW_MONEY = (
    "INSERT INTO posthog_receipts_money (entity, uuid, amounts) "
    "SELECT new.* FROM unnest(%s::bigint[], %s::bytea[], %s::text[]) AS new (entity, uuid, amounts) ORDER BY new.uuid "
    "ON CONFLICT (entity, uuid) DO UPDATE SET amounts = excluded.amounts"
)
NO_MONEY = "DELETE FROM posthog_receipts_money WHERE entity = ANY(%s) AND uuid = ANY(%s)"  # of what had some before
NEW_PERSONS = (
    "INSERT INTO posthog_receipts_person AS person (project, key, digest, at) "
    "SELECT %s, new.* FROM unnest(%s::bytea[], %s::bigint[], %s::bigint[]) AS new (key, digest, at) ORDER BY new.key "
    "ON CONFLICT (project, key) DO UPDATE SET digest = excluded.digest, at = excluded.at "
    "WHERE person.digest <> excluded.digest OR person.key = ANY(%s::bytea[]) "
    "RETURNING person.key"
)


class Claimed(NamedTuple):
    """What is granted, the numbers of the facts' entities by key, and the keys of those that the claim has made."""

    claim: Claim
    entities: Mapping[str, int]
    new_entities: set[str]


def _cause(error: Exception) -> str:
    """Return what kind of error it is, without its text, which may quote values."""
    return type(getattr(error, "orig", None) or error).__name__


logger = logging.getLogger(__name__)


class PostgresStore(Store):
    """The receipts of one project in a database; tables that aren't there are made, unless `is_read_only`.

    What another target has under way is waited for as long as a claim can last, `longest_claim_seconds`.
    """

    order = ("uuid",)

    def __init__(
        self,
        url: str,
        key: str,
        *,
        senders: int = 4,
        longest_claim_seconds: float = LONGEST_CLAIM_SECONDS,
        is_read_only: bool = False,
    ) -> None:
        scheme, _, rest = url.partition("://")
        if scheme not in NAMES:
            raise RunError(
                f"`receipts`: a database `{scheme}` isn't known here; give a file's path, or the URL of a PostgreSQL "
                "such as postgresql://user:password@host/database"
            )
        try:
            address = sqlalchemy.make_url(f"{DRIVER}://{rest}")
        except (SQLAlchemyError, ValueError):
            raise RunError(
                "`receipts`: the database's URL can't be read; in its password @ is %40, : is %3A and / is %2F, and "
                "the port is a number"
            ) from None
        self._kinds: dict[tuple[str, str], int] = {}
        self._longest_claim_seconds = longest_claim_seconds
        self._name = f"{APPLICATION} on {platform.node()[:30]}, process {os.getpid()}"
        try:
            self._engine = sqlalchemy.create_engine(
                address,
                pool_size=senders + 1,
                max_overflow=senders,
                pool_pre_ping=True,
                connect_args={"application_name": self._name},
            )
            weakref.finalize(self, self._engine.dispose)
            if not is_read_only:
                self._make_tables()
            self.project = self._project_of(key, is_read_only=is_read_only)
        except (SQLAlchemyError, ModuleNotFoundError) as error:
            raise self._unusable(error) from None

    def _make_tables(self) -> None:
        with self._engine.begin() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK_OF_TABLES,))
            identity = "GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
            for table in TABLES:
                if table.startswith("CREATE UNIQUE INDEX"):
                    continue  # it is the table's key here
                statement = table.format(
                    identity=identity,
                    serial=f"BIGINT {identity}",
                    bytes="BYTEA",
                    key_of_fact="project, uuid",
                    without_rowid="",
                )
                connection.exec_driver_sql(statement)

    def _project_of(self, key: str, *, is_read_only: bool) -> int:
        if other := self.rows(OTHER_VERSION, VERSION):
            raise RunError(
                f"`receipts`: the database has version {other[0][0]}, this program reads version {VERSION}; name "
                "another database, then run `target-posthog receipts rebuild`"
            )
        if not is_read_only:
            self.rows(
                "INSERT INTO posthog_receipts_project (key, version) VALUES (?, ?) ON CONFLICT DO NOTHING", key, VERSION
            )
        found = self.rows("SELECT id FROM posthog_receipts_project WHERE key = ?", key)
        return int(found[0][0]) if found else 0

    @staticmethod
    def _unusable(error: Exception) -> RunError:
        if isinstance(error, ModuleNotFoundError):
            return RunError(
                "`receipts`: the driver of PostgreSQL isn't installed; install this package with its extra `postgres`"
            )
        return RunError(
            f"`receipts`: the database can't be used ({_cause(error)}); check its URL, its rights and the network"
        )

    @override
    def close(self) -> None:
        self._engine.dispose()

    @override
    def scrub(self) -> None:
        """Do nothing: the database's own VACUUM does it."""

    @override
    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            with self._engine.begin() as connection:
                result = connection.exec_driver_sql(sql.replace("?", "%s"), values)
                return [tuple(row) for row in result] if result.returns_rows else []
        except SQLAlchemyError as error:
            raise self._unusable(error) from None

    @override
    def look_up(self, wanted: Mapping[bytes, str | None]) -> Found:
        facts: dict[bytes, KnownFact] = {row[0]: row for row in self._found(FACTS, list(wanted))}
        keys = list({key: None for key in wanted.values() if key})
        return Found(facts, {key: distinct_id for key, _, distinct_id in self._found(ENTITIES, keys)})

    @override
    def with_receipt(self, uuids: Collection[bytes]) -> set[bytes]:
        return {bytes(uuid) for (uuid,) in self._found(WITH_RECEIPT, list(uuids))}

    @override
    def persons(self, keys: Sequence[bytes]) -> dict[bytes, Said]:
        return {row[0]: Said(*row) for row in self._found(PERSONS, keys)}

    def _found(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        if not values:
            return []
        try:
            with self._engine.begin() as connection:
                return [tuple(row) for row in connection.exec_driver_sql(sql, (self.project, list(values)))]
        except SQLAlchemyError as error:
            raise self._unusable(error) from None

    @contextmanager
    @override
    def claim(self, facts: Sequence[Fact], persons: Sequence[Said]) -> Iterator[Claim]:
        for rule, event in {(fact.rule, fact.event) for fact in facts} - self._kinds.keys():
            self._kinds[rule, event] = self._kind(rule, event)
        try:
            with self._engine.connect() as connection:
                claimed = self._claimed_in_turn(connection, facts, persons)
                claim = claimed.claim
                yield claim
                try:
                    self._end_claim(connection, claimed, facts)
                except SQLAlchemyError as error:
                    logger.info("The claim on receipts has been lost (%s); they are written anew", _cause(error))
                else:
                    return
            # PostHog has acknowledged these, so without receipts the next run would send them a second time.
            facts = [fact for fact in facts if fact.uuid in claim.facts - claim.refused]
            persons = [person for person in persons if person.key in claim.persons - claim.refused]
            with self._engine.connect() as connection:
                anew = self._claimed_in_turn(connection, facts, persons)
                anew.claim.corrected = claim.corrected
                self._end_claim(connection, anew, facts)
        except SQLAlchemyError as error:
            raise self._unusable(error) from None

    def _end_claim(self, connection: sqlalchemy.Connection, claimed: Claimed, facts: Sequence[Fact]) -> None:
        """Write what became of the claim, and commit it: what was granted and not refused has its receipt then.

        An entity without such a fact would pin it to a distinct id that PostHog never got. No other target has seen
        one that the claim has made, so it is as if it had never been.
        """
        claim = claimed.claim
        if claim.corrected:
            columns = (list(claim.corrected), list(claim.corrected.values()))
            connection.exec_driver_sql(CORRECTED, (*columns, self.project))
        refused = list(claim.refused)
        if refused:
            self._take_back(connection, refused, claim)
        kept = [fact for fact in facts if fact.uuid in claim.facts and fact.uuid not in claim.refused]
        if unused := claimed.new_entities - {fact.entity for fact in kept}:
            connection.exec_driver_sql(NO_ENTITIES, (self.project, list(unused)))
        self._keep_money(connection, kept, claimed.entities)
        connection.commit()

    def _claimed_in_turn(
        self, connection: sqlalchemy.Connection, facts: Sequence[Fact], persons: Sequence[Said]
    ) -> Claimed:
        """Claim, once no other target has any of it under way; raises `RunError` if one has it for too long."""
        begun = time.monotonic()
        is_said = False
        step = min(SECONDS_BETWEEN_LOOKS, self._longest_claim_seconds)
        while True:
            try:
                timeouts = (f"{round(step * 1_000)}ms", f"{round(self._longest_claim_seconds * 1_000)}ms")
                connection.exec_driver_sql(TIMEOUTS, timeouts)
                return self._claimed(connection, facts, persons)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in WAITED_IN_VAIN:
                    raise
                connection.rollback()
                if time.monotonic() - begun >= self._longest_claim_seconds:
                    raise RunError(
                        f"`receipts`: {self._holder()} has events under way that this run has, too, for longer than "
                        f"{self._longest_claim_seconds:,.0f} s; end that one if it hangs, then run this one again"
                    ) from None
            if not is_said:
                is_said = True
                logger.info("Waiting for %s, which has events under way that this run has, too", self._holder())

    def _holder(self) -> str:
        """Return who has had a claim for longest."""
        rows = self.rows(HOLDERS, f"{APPLICATION}%", self._name)
        if not rows:
            return "another program"
        name, address, seconds = rows[0]
        return f"{name} (from {address}, for {seconds:,.0f} s)"

    def _claimed(self, connection: sqlalchemy.Connection, facts: Sequence[Fact], persons: Sequence[Said]) -> Claimed:
        wanted = {fact.entity: fact.distinct_id for fact in facts if fact.entity}
        entities: dict[str, tuple[int, str]] = {}
        new = set[str]()
        if wanted:
            columns_of_new = (self.project, list(wanted), list(wanted.values()))
            new = {key for (key,) in connection.exec_driver_sql(NEW_ENTITIES, columns_of_new)}
            rows = connection.exec_driver_sql(ENTITIES, (self.project, list(wanted)))
            entities = {key: (number, distinct_id) for key, number, distinct_id in rows}
        granted, resent, described = set[bytes](), set[bytes](), set[bytes]()
        if facts:
            columns = (
                [fact.uuid for fact in facts],
                [self._kinds[fact.rule, fact.event] for fact in facts],
                [entities[fact.entity][0] if fact.entity else -self.project for fact in facts],
                [fact.sent_as for fact in facts],
                [fact.at for fact in facts],
                [fact.digest for fact in facts],
                [fact.provisional for fact in facts],
                [fact.uuid for fact in facts if fact.is_again],
            )
            for uuid, is_new in connection.exec_driver_sql(NEW_FACTS, (self.project, *columns)):
                granted.add(bytes(uuid))
                if not is_new:
                    resent.add(bytes(uuid))
        if persons:
            last = {person.key: person for person in persons}  # a statement takes each key once
            # What is described otherwise and then as it was is described, too.
            changing = [person.key for person in persons if last[person.key].digest != person.digest]
            person_columns = (*map(list, zip(*last.values(), strict=True)), changing)
            described = {
                bytes(row[0]) for row in connection.exec_driver_sql(NEW_PERSONS, (self.project, *person_columns))
            }
        distinct_ids = {key: distinct_id for key, (_, distinct_id) in entities.items()}
        numbers = {key: number for key, (number, _) in entities.items()}
        return Claimed(Claim(granted, described, distinct_ids, resent), numbers, new)

    @staticmethod
    def _keep_money(connection: sqlalchemy.Connection, facts: Sequence[Fact], entities: Mapping[str, int]) -> None:
        """Write the money of facts, and forget that of a fact which was sent again without any."""
        money = [(entities[fact.entity], fact.uuid, fact.money) for fact in facts if fact.money and fact.entity]
        if money:
            connection.exec_driver_sql(NEW_MONEY, tuple(map(list, zip(*money, strict=True))))
        again = [fact for fact in facts if fact.is_again and not fact.money]
        without = [(entities[fact.entity], fact.uuid) for fact in again if fact.entity]
        if without:
            connection.exec_driver_sql(NO_MONEY, tuple(map(list, zip(*without, strict=True))))

    def _take_back(self, connection: sqlalchemy.Connection, refused: list[bytes], claim: Claim) -> None:
        """Undo what was claimed and then refused; a fact that was to be sent again stays to be sent again."""
        marked = [uuid for uuid in refused if uuid in claim.resent]
        for sql, values in (
            ("DELETE FROM posthog_receipts_fact WHERE project = %s AND uuid = ANY(%s)", set(refused) - set(marked)),
            ("DELETE FROM posthog_receipts_person WHERE project = %s AND key = ANY(%s)", set(refused)),
            (f"UPDATE posthog_receipts_fact SET resend = {RESEND} WHERE project = %s AND uuid = ANY(%s)", set(marked)),  # noqa: S608  # a constant
        ):
            connection.exec_driver_sql(sql, (self.project, list(values)))

    def _kind(self, rule: str, event: str) -> int:
        self.rows("INSERT INTO posthog_receipts_kind (rule, event) VALUES (?, ?) ON CONFLICT DO NOTHING", rule, event)
        ((number,),) = self.rows("SELECT id FROM posthog_receipts_kind WHERE rule = ? AND event = ?", rule, event)
        return int(number)
