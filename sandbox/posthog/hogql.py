"""A HogQL query becomes rows, in: its text and the database; out: columns and rows, or the sentence that refuses it.

A small part of the language, read word by word and handed to SQLite: the table `events` and what counts and sums need.
A word beyond that part is refused, so that no query passes here which means something else to PostHog. The language:
https://posthog.com/docs/sql and https://posthog.com/docs/sql/clickhouse-functions.
"""

from __future__ import annotations

import itertools
import re
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sandbox.posthog.database import Database

# "By default, API queries return up to 100 rows. If you specify your own LIMIT value, you can return up to 50k rows":
# https://posthog.com/docs/api/queries
USUAL_ROWS = 100
MOST_ROWS = 50_000
MOST_DIGITS = 18  # of a whole number; SQLite holds no more
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

TOKEN = re.compile(
    r"\s+|--[^\n]*|(?P<text>'(?:[^'\\]|\\.|'')*')|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<property>properties\.(?:[A-Za-z_$][\w$]*|`[^`]+`))|(?P<word>[A-Za-z_]\w*)|(?P<sign><=|>=|!=|[-+*/(),=<>])"
)
KEYWORDS = frozenset(
    (
        *("and", "as", "asc", "by", "desc", "distinct", "from", "group", "having", "in", "is", "limit", "not", "null"),
        *("offset", "or", "order", "select", "where"),
    )
)
COLUMNS = {"uuid": "uuid", "event": "event", "distinct_id": "distinct_id", "timestamp": "hogql_time(at_microseconds)"}
FUNCTIONS = {
    **{name: name for name in ("count", "sum", "min", "max", "round", "abs", "lower")},
    "any": "max",  # the value of any row: here the largest, the same in each run
    **{name: f"hogql_{name}" for name in ("intDiv", "toDateTime", "toFloat", "toInt", "toString", "toUnixTimestamp")},
}


class QueryError(Exception):
    """A query that this part of HogQL doesn't have; the text is as PostHog words it."""


@dataclass(frozen=True)
class Answer:
    """The rows of a query, and whether there are more than were asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    has_more: bool
    limit: int
    offset: int


def answered(database: Database, text: str) -> Answer:
    """Answer a query; raises QueryError."""
    sql, limit, offset = _translated(text)
    try:
        columns, rows = database.read(f"{sql} limit ? offset ?", [limit + 1, offset], SPOKEN)
    except sqlite3.Error as error:
        raise QueryError(f"Query can't be resolved: {error}") from None
    return Answer(columns, rows[:limit], len(rows) > limit, limit, offset)


def _translated(text: str) -> tuple[str, int, int]:
    """Return the query in SQLite's words without its last limit and offset, and these."""
    tokens = list(_tokens(text))
    limit, offset = USUAL_ROWS, 0
    if [word.lower() for _, word in tokens[-4::2]] == ["limit", "offset"]:
        limit, offset = _whole(tokens[-3][1]), _whole(tokens[-1][1])
        tokens = tokens[:-4]
    elif len(tokens) > 1 and tokens[-2][1].lower() == "limit":
        limit = _whole(tokens[-1][1])
        tokens = tokens[:-2]
    if not tokens or tokens[0][1].lower() != "select":
        raise QueryError("Expected a SELECT query")
    words = [word for _, word in tokens]
    _check_tables(words)
    aliases = {word for before, word in itertools.pairwise(words) if before.lower() == "as"}
    followers = [*words[1:], ""]
    spoken = (_spoken(kind, word, after, aliases) for (kind, word), after in zip(tokens, followers, strict=True))
    return " ".join(spoken), min(limit, MOST_ROWS), offset


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
        raise QueryError(f"LIMIT and OFFSET need a whole number, not {word}")
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
        plain = re.sub(r"\\(.)|''", lambda found: found[1] or "'", word[1:-1])
        return "'" + plain.replace("'", "''") + "'"
    if kind == "property":
        name = word.partition(".")[2].strip("`")
        return "json_extract(properties, '$.\"{}\"')".format(name.replace("'", "''"))
    if kind == "word" and after == "(" and word.lower() not in KEYWORDS:
        if word not in FUNCTIONS:
            raise QueryError(f"Unsupported function call '{word}(...)'")
        return FUNCTIONS[word]
    if kind != "word" or word.lower() in KEYWORDS or word in aliases or word == "events":
        return word
    if word not in COLUMNS:
        raise QueryError(f"Unable to resolve field: {word}")
    return COLUMNS[word]


def _time(microseconds: int) -> str:
    """Write a time so that texts compare as times do."""
    return f"{EPOCH + timedelta(microseconds=microseconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def _read_time(text: str) -> datetime:
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _to_datetime(text: str) -> str:
    return _time((_read_time(text) - EPOCH) // timedelta(microseconds=1))


def _to_number(value: Any) -> float | None:  # noqa: ANN401  # a value of any column
    try:
        return None if value is None else float(value)
    except ValueError:
        return None  # "safer versions of the equivalent ClickHouse functions": null for what is no number


# The functions that SQLite lacks, by name: how many arguments, and what it gives.
SPOKEN: dict[str, tuple[int, Callable[..., Any]]] = {
    "hogql_time": (1, _time),
    "hogql_intDiv": (2, lambda left, right: left // right),
    "hogql_toDateTime": (1, _to_datetime),
    "hogql_toFloat": (1, _to_number),
    "hogql_toInt": (1, lambda value: None if _to_number(value) is None else int(float(value))),
    "hogql_toString": (1, lambda value: None if value is None else str(value)),
    "hogql_toUnixTimestamp": (1, lambda text: int(_read_time(text).timestamp())),
}
