"""PostHog's own grammar reads every question, and no name in a mapping can make another one of it."""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_posthog.posthog.hogql import newest, raw, texts
from tests.outside.hogql.engines import nodes
from tests.outside.hogql.printed import printed
from tests.outside.hogql.questions import document_questions, product_questions
from tests.outside.hogql.table import Event, Table

if TYPE_CHECKING:
    from tests.outside.hogql.engines import ClickHouse, Grammar

MOST_ROWS = 50_000
# Any text that JSON can carry, and those that a language stumbles over.
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.lists(
    st.sampled_from(
        ["'", "\\", "`", '"', "{", "}", "%", "%(x)s", "--", "/*", "*/", "\n", "\0", ";", "$", "é", "a", " "]
    ),
    min_size=1,
).map("".join)


@pytest.mark.parametrize("name", product_questions())
def test_a_question_of_the_product_keeps_a_personal_keys_rules(grammar: Grammar, name: str) -> None:
    tree = grammar.tree(product_questions()[name])
    assert 0 < tree["limit"]["value"] <= MOST_ROWS, "a LIMIT, and none that is cut in silence"
    selects = [node for node in nodes(tree) if node["node"].startswith("Select")]
    assert not any(node.get("offset") or node.get("limit_by") for node in selects), "no OFFSET anywhere"
    (of_events,) = (node for node in selects if node["select_from"]["table"].get("chain") == ["events"])
    conditions = of_events["where"]["exprs"]
    compared = {
        (one["left"].get("chain", [""])[0], one["op"]) for one in conditions if one["node"] == "CompareOperation"
    }
    assert compared >= {("event", "in"), ("timestamp", ">="), ("timestamp", "<")}, "names, and both bounds of time"
    calls = {node["name"] for node in nodes(tree) if node["node"] == "Call"}
    assert "any" not in calls, "which may take an outdated copy"


@pytest.mark.parametrize("place", document_questions())
def test_the_sql_of_a_document_is_hogql(grammar: Grammar, place: str) -> None:
    assert grammar.tree(document_questions()[place])["node"] == "SelectQuery"


def test_there_are_questions_in_the_documents() -> None:
    assert document_questions()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, min_size=1, max_size=3))
def test_a_text_is_read_as_it_was_meant(grammar: Grammar, names: list[str]) -> None:
    tree = grammar.tree(f"select {texts(names)}, {newest(raw(names[0]))} from events limit 1")
    *literals, call = tree["select"]
    assert [one["value"] for one in literals] == names
    assert call["args"][0]["args"][1] == {"node": "Constant", "value": names[0]}
    assert (tree["select_from"]["table"]["chain"], tree["limit"]["value"]) == (["events"], 1)


@pytest.mark.parametrize("kind", product_questions())
def test_no_name_changes_a_question(grammar: Grammar, kind: str) -> None:
    name, named = 'it\'s {now()} \\ 100 %(x)s `a` "b" -- \n\u2028 /*', "'; drop \\' \0 {x} %"
    tree = grammar.tree(product_questions(name, named)[kind])
    expected = _renamed(grammar.tree(product_questions("EVENT", "PROPERTY")[kind]), {"EVENT": name, "PROPERTY": named})
    assert _in_order(tree) == _in_order(expected)  # names stand in the order of texts, another one for other names


def _renamed(tree: Any, names: dict[str, str]) -> Any:
    tree = copy.deepcopy(tree)
    for node in nodes(tree):
        if node["node"] == "Constant" and node["value"] in names:
            node["value"] = names[node["value"]]
    return tree


def _in_order(tree: Any) -> Any:
    for node in nodes(tree):
        if node["node"] == "Tuple":
            node["exprs"].sort(key=str)
    return tree


@pytest.mark.parametrize(
    "name", ["it's", "100 %", "a\\", "`b`", "{now()}", "a\nb", "ümläut \u2028", '"', "--", "\0 nul"]
)
def test_clickhouse_finds_an_event_and_a_property_of_any_name(
    grammar: Grammar, clickhouse: ClickHouse, name: str
) -> None:
    table = Table(grammar, clickhouse)
    properties = {name: 12.5, "currency": "USD", "order_name": "#1"}
    one = Event(UUID(int=5), name, "a@x.io", datetime(2026, 10, 25, 10, tzinfo=timezone.utc), properties)
    table.take([one])
    for kind, query in product_questions(name, name).items():
        rows = table.rows(query)
        if kind in {"sums", "sums without currency"}:
            assert [row[4:] for row in rows] == [["0", 1, 1, 125_000]], kind  # the first is the version of the uuid


def test_what_is_outside_the_form_is_never_passed_over(grammar: Grammar) -> None:
    with pytest.raises(NotImplementedError):
        printed(grammar.tree("select quantile(0.5)(toFloat(properties.x)) from events"))
