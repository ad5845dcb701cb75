"""A mapping's file is plain data of bounded size, whatever YAML could make of it; keys are what stands there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.mapping import plain_yaml
from target_posthog.mapping.plain_yaml import PlainDataError, check_size, read

SHIPPED = sorted((Path(plain_yaml.__file__).parent / "shipped").glob("*.yaml"))
LAUGHS = "\n".join(["a0: &a0 [x, x]", *(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]" for n in range(40))])
MERGES = "\n".join(["a0: &a0 {x: 1}", *(f"a{n + 1}: &a{n + 1} {{<<: [*a{n}, *a{n}]}}" for n in range(40))])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_mapping_is_read_as_yaml_reads_it(path: Path) -> None:
    assert read(path.read_text()) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: 1\noff: 2\nyes: 3\nno: 4", {"on": 1, "off": 2, "yes": 3, "no": 4}),
        (
            "2026-01-01: a\n404: b\n1.5: c\nnull: d\n~: e\ntrue: f",
            {"2026-01-01": "a", "404": "b", "1.5": "c", "null": "d", "~": "e", "true": "f"},
        ),
        (
            "a: 2026-01-01\nb: 2026-01-01T00:00:00Z\nc: 12:30:00\nd: =",
            {"a": "2026-01-01", "b": "2026-01-01T00:00:00Z", "c": "12:30:00", "d": "="},
        ),
        ("a: true\nb: ~\nc: 1\nd: 1.5\ne: '1'", {"a": True, "b": None, "c": 1, "d": 1.5, "e": "1"}),
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}),
        ("a: &a [1]\nb: *a", {"a": [1], "b": [1]}),
        ("", None),
    ],
)
def test_what_stands_there_is_what_it_means(text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (LAUGHS, "more than 50,000 values"),
        (MERGES, "more than 50,000 values"),
        ("&a [*a]", "inside what it names"),
        ("&a {b: *a}", "inside what it names"),
        ("a: &a\n  <<: *a", "inside what it names"),
        ("[" * 100_000, "levels deep"),
        ("[" * 60 + "]" * 60, "levels deep"),
        ("{a: " * 5_000, "levels deep"),
        ("- " * 100_000, "levels deep"),
        ("x" * 2_000_000, "longer than"),
        ("a: [", "is no YAML (line 1"),
        ("a: *b", "is no YAML (line 1"),
        ("a\x00b", "is no YAML"),
        ("? [1]\n: 2", "a key that is no text (line 1)"),
        ("a: !!binary aGk=", "a tag that means nothing here (line 1)"),
        ("a: !!set {b}", "a tag that means nothing here"),
        ("a: !!omap [b: 1]", "a tag that means nothing here"),
        ("a: !!python/object/apply:os.system ['true']", "a tag that means nothing here"),
        ("a: !x b", "a tag that means nothing here"),
        ("a: .nan", "a number that JSON doesn't have"),
        ("a: -.inf", "a number that JSON doesn't have"),
        ("a: 1.0e+999", "a number that JSON doesn't have"),
        ("a: !!int x", "isn't the int that its tag says"),
        (f"a: {'9' * 5_000}", "isn't the int that its tag says"),
        ("a: !!bool x", "isn't the bool that its tag says"),
        ("a: 1\na: 2", "the key `a` twice in one object (line 2)"),
        ("<<: 1", "merges (`<<`) what is no object"),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_no_plain_data_is_named_with_its_line(text: str, why: str) -> None:
    with pytest.raises(PlainDataError) as raised:
        read(text)
    assert why in str(raised.value)


@given(st.text() | st.text(alphabet="&*<>!|{}[]:,-?ab1 \n'\"#%@~."))
def test_any_text_is_plain_data_or_a_sentence(text: str) -> None:
    with contextlib.suppress(PlainDataError):
        check_size(read(text))


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize("value", [nested(1_000), [0] * 100_000], ids=["deep", "many"])
def test_settings_have_the_same_bounds(value: object) -> None:
    with pytest.raises(PlainDataError):
        check_size(value)
