"""HogQL's syntax tree as the ClickHouse SQL that PostHog makes of it.

The part of the language that this project uses; anything else raises NotImplementedError, so that no question passes
here without its form. How PostHog prints: posthog/hogql/printer/clickhouse.py@002b82d, functions/clickhouse/*.py, and
the columns of database/schema/events.py@0639fcc.
"""

from __future__ import annotations

import re
from typing import Any

MOST_ROWS = 50_000  # posthog/hogql/constants.py: a higher LIMIT is cut to it, without a word
USUAL_ROWS = 100  # of a query without LIMIT, through the API
TEAM = 1
SETTINGS = "readonly = 2, max_execution_time = 10, transform_null_in = 1"
PLAIN_COLUMNS = {"uuid", "event", "properties", "distinct_id", "elements_chain", "person_id"}
TIME_COLUMNS = {"timestamp", "created_at"}
# HogQL's name: ClickHouse's, and arguments that PostHog adds.
FUNCTIONS: dict[str, tuple[str, list[str]]] = {
    **{
        name: (name, [])
        for name in (
            *("argMax", "count", "max", "min", "round", "sum", "replaceAll", "toString", "intDiv", "toNullable"),
            *(
                "JSONExtractArrayRaw",
                "JSONExtractRaw",
                "toYYYYMMDD",
                "toTimeZone",
                "toUnixTimestamp",
                "dateDiff",
                "lagInFrame",
                "row_number",
                "substring",
                "toIntervalDay",
            ),
        )
    },
    "toFloat": ("accurateCastOrNull", ["'Float64'"]),
    "toInt": ("accurateCastOrNull", ["'Int64'"]),
    "ifNull": ("ifNull", []),
}
COMPARISONS = {
    "==": "equals",
    "!=": "notEquals",
    "<": "less",
    "<=": "lessOrEquals",
    ">": "greater",
    ">=": "greaterOrEquals",
    "in": "in",
    "not in": "notIn",
}
ARITHMETIC = {"+": "plus", "-": "minus", "*": "multiply", "/": "divide", "%": "modulo"}


def printed(tree: dict[str, Any], *, zone: str = "UTC", analyzer: int = 1) -> str:
    """Return ClickHouse's SQL of a query; `zone` is the project's, `analyzer` which of ClickHouse's two reads it."""
    return f"{_Printer(zone).select(tree, is_whole=True)} SETTINGS {SETTINGS}, enable_analyzer = {analyzer}"


class _Printer:
    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._names: list[set[str]] = []  # aliases that the queries around have given

    def select(self, node: dict[str, Any], *, is_whole: bool = False) -> str:
        unknown = {key for key, value in node.items() if value} - {
            *("node", "select", "select_from", "where", "group_by", "order_by", "limit", "having"),
        }
        if node["node"] != "SelectQuery" or unknown:
            raise NotImplementedError(node["node"], unknown)
        source, is_events = self._source(node["select_from"])
        inner = set() if is_events else {_alias(one) for one in node["select_from"]["table"]["select"]}
        self._names.append(inner | {one["alias"] for one in node["select"] if one["node"] == "Alias"})
        columns = ", ".join(map(self._column, node["select"]))
        where = [f"equals(events.team_id, {TEAM})"] if is_events else []
        where += [self.expression(node["where"])] if node["where"] else []
        sql = f"SELECT {columns} FROM {source}"
        sql += f" WHERE {_call('and', where)}" if where else ""
        sql += f" GROUP BY {self._listed(node['group_by'])}" if node["group_by"] else ""
        sql += f" HAVING {self.expression(node['having'])}" if node["having"] else ""
        sql += f" ORDER BY {self._listed(node['order_by'])}" if node.get("order_by") else ""
        if node.get("limit"):
            sql += f" LIMIT {min(node['limit']['value'], MOST_ROWS)}"
        elif is_whole:
            sql += f" LIMIT {USUAL_ROWS}"
        self._names.pop()
        return sql

    def expression(self, node: dict[str, Any]) -> str:
        return getattr(self, f"_{node['node'].lower()}", self._unknown)(node)

    def _unknown(self, node: dict[str, Any]) -> str:
        raise NotImplementedError(node)

    def _source(self, node: dict[str, Any]) -> tuple[str, bool]:
        if node["table"]["node"] == "Field" and node["table"]["chain"] == ["events"] and not node["alias"]:
            return "events", True
        if node["alias"] or node["next_join"]:
            raise NotImplementedError(node)
        return f"({self.select(node['table'])})", False

    def _column(self, node: dict[str, Any]) -> str:
        if node["node"] == "Field" and node["chain"][-1] not in self._names[-1]:
            return f"{self.expression(node)} AS {_identifier(node['chain'][-1])}"
        return self.expression(node)

    def _listed(self, nodes: list[dict[str, Any]]) -> str:
        return ", ".join(map(self.expression, nodes))

    def _alias(self, node: dict[str, Any]) -> str:
        return f"{self.expression(node['expr'])} AS {_identifier(node['alias'])}"

    def _field(self, node: dict[str, Any]) -> str:
        first, *rest = node["chain"]
        if first in self._names[-1] and not rest:
            return _identifier(first)
        if first in TIME_COLUMNS and not rest:
            return f"toTimeZone(events.{first}, {text(self._zone)})"
        if first == "properties" and len(rest) == 1:
            raw = f"JSONExtractRaw(events.properties, {text(rest[0])})"
            return f"replaceRegexpAll(nullIf(nullIf({raw}, ''), 'null'), '^\"|\"$', '')"
        if first in PLAIN_COLUMNS and not rest:
            return f"events.{first}"
        raise NotImplementedError(node["chain"])

    def _constant(self, node: dict[str, Any]) -> str:
        value = node["value"]
        return text(value) if isinstance(value, str) else "NULL" if value is None else str(value)

    def _call(self, node: dict[str, Any]) -> str:
        if any(node[key] for key in ("params", "filter_expr", "order_by")):
            raise NotImplementedError(node)
        if node["name"] == "toDateTime":
            return self._moment(node)
        if node["name"] == "now" and not node["args"]:
            return f"now64(6, {text(self._zone)})"
        if node["name"] not in FUNCTIONS:
            raise NotImplementedError(node["name"])
        name, added = FUNCTIONS[node["name"]]
        arguments = [*map(self.expression, node["args"]), *added]
        return f"{name}({'DISTINCT ' if node['distinct'] else ''}{', '.join(arguments)})"

    def _moment(self, node: dict[str, Any]) -> str:
        (literal,) = node["args"]
        if literal["node"] != "Constant" or re.fullmatch(r"\d{4}-\d\d-\d\d( [\d:.]+)?", literal["value"]):
            raise NotImplementedError("a moment without its zone is one of the project's")
        return f"parseDateTime64BestEffort({text(literal['value'])}, 6, {text(self._zone)})"

    def _compareoperation(self, node: dict[str, Any]) -> str:
        call = f"{COMPARISONS[node['op']]}({self.expression(node['left'])}, {self.expression(node['right'])})"
        return f"ifNull({call}, {int(node['op'] in ('!=', 'not in'))})"

    def _arithmeticoperation(self, node: dict[str, Any]) -> str:
        return f"{ARITHMETIC[node['op']]}({self.expression(node['left'])}, {self.expression(node['right'])})"

    def _and(self, node: dict[str, Any]) -> str:
        return _call("and", [*map(self.expression, node["exprs"])])

    def _or(self, node: dict[str, Any]) -> str:
        return _call("or", [*map(self.expression, node["exprs"])])

    def _not(self, node: dict[str, Any]) -> str:
        return f"not({self.expression(node['expr'])})"

    def _tuple(self, node: dict[str, Any]) -> str:
        return f"tuple({self._listed(node['exprs'])})"

    def _orderexpr(self, node: dict[str, Any]) -> str:
        return f"{self.expression(node['expr'])} {node['order']}"

    def _windowfunction(self, node: dict[str, Any]) -> str:
        over = node["over_expr"]
        parts = f"PARTITION BY {self._listed(over['partition_by'])} ORDER BY {self._listed(over['order_by'])}"
        if over.get("frame_method"):
            parts += f" {over['frame_method']} BETWEEN {_bound(over['frame_start'])} AND {_bound(over['frame_end'])}"
        return f"{FUNCTIONS[node['name']][0]}({self._listed(node['exprs'])}) OVER ({parts})"


def _bound(node: dict[str, Any]) -> str:
    if node["frame_type"] == "CURRENT ROW":
        return "CURRENT ROW"
    return f"{'UNBOUNDED' if node['frame_value'] is None else node['frame_value']} {node['frame_type']}"


def _alias(node: dict[str, Any]) -> str:
    return node["alias"] if node["node"] == "Alias" else node["chain"][-1]


def _call(name: str, arguments: list[str]) -> str:
    return arguments[0] if len(arguments) == 1 else f"{name}({', '.join(arguments)})"


def _identifier(name: str) -> str:
    """Quote an identifier; raises ValueError for what PostHog refuses: posthog/hogql/escape_sql.py@0354ddf."""
    if "%" in name:
        raise ValueError(f'The HogQL identifier "{name}" is not permitted as it contains the "%" character')
    return name if re.fullmatch(r"[A-Za-z_][\w$]*", name) else "`" + name.replace("\\", "\\\\").replace("`", "``") + "`"


def text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
