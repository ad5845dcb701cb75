"""Reader of HogQL, for the sandbox's query API.

Takes a query and the database; returns columns and rows, or raises the sentence that refuses it. A small part of the
language, read word by word and handed to SQLite: the table `events` and what counts and sums need. A word beyond that
part is refused, so that no query passes here which means something else to PostHog; tests/outside/hogql compares the
answers with those of PostHog's grammar and ClickHouse. The language: https://posthog.com/docs/sql and
https://posthog.com/docs/sql/clickhouse-functions.
"""

from __future__ import annotations

import itertools
import re
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from sandbox.posthog.database import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sandbox.posthog.database import Database

# "By default, API queries return up to 100 rows. If you specify your own LIMIT value, you can return up to 50k rows":
# https://posthog.com/docs/api/queries. A higher one is cut in silence: posthog/hogql/constants.py.
USUAL_ROWS = 100
MOST_ROWS = 50_000
MOST_DIGITS = 18  # of a whole number; SQLite holds no more
# posthog/hogql/user_query_validator.py, of every query that comes with a personal API key.
OFFSET = (
    "OFFSET is not supported on queries made with a personal API key. "
    "For pagination, use keyset pagination on the `timestamp` column, e.g. "
    "`WHERE timestamp > :last_seen_timestamp ORDER BY timestamp LIMIT N`. "
    "For bulk data extraction, use batch exports: https://posthog.com/docs/cdp/batch-exports"
)

TOKEN = re.compile(
    r"\s+|--[^\n]*|(?P<text>'(?:[^'\\]|\\.|'')*')|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<property>properties\.(?:[A-Za-z_$][\w$]*|`(?:[^`]|``)+`))|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<sign><=|>=|!=|[-+*/(),=<>])",
    re.DOTALL,
)
KEYWORDS = frozenset(
    (
        *("and", "as", "asc", "between", "by", "current", "desc", "distinct", "from", "group", "having", "in", "is"),
        *("limit", "not", "null", "or", "order", "over", "partition", "preceding", "row", "rows", "select"),
        *("unbounded", "where"),
    )
)
# What HogQL sees of an event. Each row is one: copies that ClickHouse hasn't merged are several.
COLUMNS = frozenset(("created_at", "distinct_id", "event", "person_id", "properties", "timestamp", "uuid"))
TABLE = """(select e.uuid, e.event, e.distinct_id, e.properties, d.person as person_id,
hogql_time(e.at_microseconds, '{zone}') as timestamp, hogql_time(e.created_at_microseconds, '{zone}') as created_at
from events e left join distinct_ids d using (distinct_id) where e.at_microseconds >= {oldest})"""
FUNCTIONS = {
    **{name: name for name in ("count", "sum", "min", "max", "round", "abs", "lower")},
    "ifNull": "ifnull",
    "lagInFrame": "lag",
    "row_number": "row_number",
    "replaceAll": "replace",
    "substring": "substr",
    **{
        name: f"hogql_{name}"
        for name in (
            *("any", "argMax", "dateDiff", "intDiv", "JSONExtractRaw", "toDateTime", "toFloat", "toInt", "toNullable"),
            *("toString", "toTimeZone", "toUnixTimestamp", "toYYYYMMDD"),
        )
    },
}


class QueryError(Exception):
    """A query that this part of HogQL doesn't have; the text is as PostHog words it."""


@dataclass(frozen=True)
class Answer:
    """The rows of a query; `has_more`, for one without LIMIT, is whether there are more than the usual hundred."""

    columns: list[str]
    rows: list[list[Any]]
    has_more: bool | None


def answered(database: Database, text: str, *, zone: str = "UTC", oldest: datetime | None = None) -> Answer:
    """Answer a query in the project's time zone, of events from `oldest` on; raises QueryError."""
    sql, limit = _translated(text, zone, oldest)
    most = USUAL_ROWS if limit is None else min(limit, MOST_ROWS)
    try:
        columns, rows = database.read(f"{sql} limit ?", [most + 1], _spoken_in(zone))
    except sqlite3.Error as error:
        raise QueryError(f"Query can't be resolved: {error}") from None
    shown = [[_shown(value) for value in row] for row in rows[:most]]
    return Answer(columns, shown, len(rows) > most if limit is None else None)


def _translated(text: str, zone: str, oldest: datetime | None) -> tuple[str, int | None]:
    """Return the query in SQLite's words without its last limit, and this."""
    tokens = list(_tokens(text))
    limit = None
    if any(kind == "word" and word.lower() == "offset" for kind, word in tokens):
        raise QueryError(OFFSET)
    if len(tokens) > 1 and tokens[-2][1].lower() == "limit":
        limit = _whole(tokens[-1][1])
        tokens = tokens[:-2]
    if not tokens or tokens[0][1].lower() != "select":
        raise QueryError("Expected a SELECT query")
    words = [word for _, word in tokens]
    _check_tables(words)
    aliases = {word for before, word in itertools.pairwise(words) if before.lower() == "as"}
    floor = -(2**62) if oldest is None else (oldest - EPOCH) // timedelta(microseconds=1)
    table = TABLE.format(zone=zone, oldest=floor)
    sql = [
        table if before.lower() == "from" and word == "events" else _spoken(kind, word, after, aliases)
        for before, (kind, word), after in zip(["", *words], tokens, [*words[1:], ""], strict=False)
    ]
    return " ".join(sql), limit


def _check_tables(words: Sequence[str]) -> None:
    """Raise QueryError for a table beside another: HogQL joins by JOIN, and a cross join of events has no end."""
    depths: list[bool] = [False]  # of each open bracket, whether it is in its FROM
    for word in words:
        if word == "(":
            depths.append(False)
        elif word == ")":
            del depths[-1:]
        elif word.lower() in ("from", "where", "group", "having", "order", "limit") and depths:
            depths[-1] = word.lower() == "from"
        if not depths or (word == "," and depths[-1]):
            raise QueryError(f"Syntax error: unexpected {word!r}")


def _whole(word: str) -> int:
    if not word.isdecimal() or len(word) > MOST_DIGITS:
        raise QueryError(f"LIMIT needs a whole number, not {word}")
    return int(word)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text):
        found = TOKEN.match(text, place)
        if not found:
            raise QueryError(f"Syntax error at position {place}: unexpected {text[place]!r}")
        if found.lastgroup:
            yield found.lastgroup, found[0]
        place = found.end()


def _spoken(kind: str, word: str, after: str, aliases: set[str]) -> str:
    """Return SQLite's word for a token; raises QueryError for one that isn't part of the part."""
    if kind == "text":
        return _text(re.sub(r"\\(.)|''", lambda found: found[1] or "'", word[1:-1], flags=re.DOTALL))
    if kind == "property":
        name = word.partition(".")[2]
        if "%" in name:
            raise QueryError(f'The HogQL identifier "{name}" is not permitted as it contains the "%" character')
        plain = name[1:-1].replace("``", "`") if name.startswith("`") else name
        return f"hogql_property(properties, {_text(plain)})"
    if kind == "word" and after == "(" and word.lower() not in KEYWORDS:
        if word not in FUNCTIONS:
            raise QueryError(f"Unsupported function call '{word}(...)'")
        return FUNCTIONS[word]
    if kind == "word" and word in aliases:
        return f'"{word}"'
    if kind != "word" or word.lower() in KEYWORDS or word in COLUMNS:
        return word
    raise QueryError(f"Unable to resolve field: {word}")


def _text(value: str) -> str:
    """Write a text for SQLite, which ends a query at a NUL."""
    quoted = value.replace("'", "''")
    return "('" + quoted.replace("\0", "' || char(0) || '") + "')"


# A time is a text that sorts as times do, with the zone in which it is shown.
TIME = re.compile(r"\x1f(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}) ([\w+/-]+)")


def _time(microseconds: int, zone: str) -> str:
    return f"\x1f{EPOCH + timedelta(microseconds=microseconds):%Y-%m-%dT%H:%M:%S.%f} {zone}"


def _read_time(time: str) -> datetime:
    found = TIME.fullmatch(time)
    if not found:
        raise ValueError(time)
    return datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc).astimezone(ZoneInfo(found[2]))


def _shown(value: Any) -> Any:  # noqa: ANN401  # a value of any column
    """Return a value as PostHog's JSON has it."""
    if isinstance(value, str) and TIME.fullmatch(value):
        return _read_time(value).isoformat().replace("+00:00", "Z")
    return value


def _to_datetime(text: str, zone: str) -> str | None:
    if TIME.fullmatch(text):
        return text
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    time = time if time.tzinfo else time.replace(tzinfo=ZoneInfo(zone))
    return _time((time - EPOCH) // timedelta(microseconds=1), zone)


def _to_string(value: Any) -> str | None:  # noqa: ANN401  # a value of any column
    if isinstance(value, str) and TIME.fullmatch(value):
        return f"{_read_time(value):%Y-%m-%d %H:%M:%S.%f}"
    return None if value is None else str(value)


def _to_timezone(time: str, zone: str) -> str:
    return f"{time.partition(' ')[0]} {zone}"


def _to_number(value: Any) -> float | None:  # noqa: ANN401  # a value of any column
    try:
        return None if value is None else float(value)
    except ValueError:
        return None  # "safer versions of the equivalent ClickHouse functions": null for what is no number


def _extracted(properties: str, name: str) -> str:
    """Return a property's JSON, as ClickHouse writes it: an empty text for one that isn't there."""
    found = msgspec.json.decode(properties, type=dict[str, msgspec.Raw]).get(name)
    return "" if found is None else msgspec.json.encode(msgspec.json.decode(found)).decode()


def _property(properties: str, name: str) -> str | None:
    """Return what PostHog makes of `properties.name`: its JSON without the quotes at its ends, null for none."""
    raw = _extracted(properties, name)
    return None if raw in {"", "null"} else re.sub('^"|"$', "", raw)


def _difference(unit: str, first: str, second: str) -> int | None:
    if unit != "second" or first is None or second is None:
        return None
    return int(_read_time(second).timestamp()) - int(_read_time(first).timestamp())


class _Any:
    """The value of any row: the first, which of an event's copies is the outdated one."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def step(self, value: Any) -> None:  # noqa: ANN401  # a value of any column
        if not self._values and value is not None:
            self._values.append(value)

    def finalize(self) -> Any:  # noqa: ANN401  # a value of any column
        return self._values[0] if self._values else None


class _ArgMax:
    """The value of the row with the largest key; as in ClickHouse a row whose value is null doesn't count."""

    def __init__(self) -> None:
        self._best: tuple[Any, Any] | None = None

    def step(self, value: Any, key: Any) -> None:  # noqa: ANN401  # values of any column
        if value is not None and (self._best is None or key >= self._best[0]):
            self._best = key, value

    def finalize(self) -> Any:  # noqa: ANN401  # a value of any column
        return self._best[1] if self._best else None


def _spoken_in(zone: str) -> dict[str, tuple[int, Callable[..., Any]]]:
    """Return the functions that SQLite lacks, by name: how many arguments, and what it gives."""
    return {
        "hogql_any": (1, _Any),
        "hogql_argMax": (2, _ArgMax),
        "hogql_dateDiff": (3, _difference),
        "hogql_intDiv": (2, lambda left, right: None if left is None else left // right),
        "hogql_JSONExtractRaw": (2, _extracted),
        "hogql_property": (2, _property),
        "hogql_time": (2, _time),
        "hogql_toDateTime": (1, lambda text: _to_datetime(text, zone)),
        "hogql_toFloat": (1, _to_number),
        "hogql_toInt": (1, lambda value: None if _to_number(value) is None else int(float(value))),
        "hogql_toNullable": (1, lambda value: value),
        "hogql_toString": (1, _to_string),
        "hogql_toTimeZone": (2, _to_timezone),
        "hogql_toUnixTimestamp": (1, lambda time: int(_read_time(time).timestamp())),
        "hogql_toYYYYMMDD": (1, lambda time: int(f"{_read_time(time):%Y%m%d}")),
    }
