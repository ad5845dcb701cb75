"""The served schemas are parts of Shopify's own, and up to date with the script that cuts them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from graphql import GraphQLObjectType, build_schema, validate_schema

from sandbox.shop import cut_schema
from sandbox.shop.schemas import FOLDER

if TYPE_CHECKING:
    from graphql import GraphQLSchema


WHOLE = Path(__file__).parents[3] / "shared" / "shopify" / "schemas"
VERSIONS = ("2026-07", "2026-10")


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def whole(version: str) -> GraphQLSchema:
    path = WHOLE / f"admin-{version}.graphql.gz"
    if not path.exists():
        pytest.skip("the whole schema of Shopify isn't here")
    return build_schema(gzip.decompress(path.read_bytes()).decode(), assume_valid=True)


def test_the_cut_schema_is_what_the_script_cuts(version: str, whole: GraphQLSchema) -> None:
    assert cut_schema.cut(whole) == (FOLDER / f"admin-{version}.graphql").read_text()


def test_the_cut_schema_is_valid_and_says_nothing_that_shopifys_does_not_say(
    version: str, whole: GraphQLSchema
) -> None:
    cut = build_schema((FOLDER / f"admin-{version}.graphql").read_text())
    assert validate_schema(cut) == []
    for name, type_ in cut.type_map.items():
        if name.startswith("__"):
            continue
        assert type(type_) is type(whole.type_map[name])
        for field_name, field in getattr(type_, "fields", {}).items():
            original = whole.type_map[name].fields[field_name]
            assert str(field.type) == str(original.type)
            assert (field.deprecation_reason is None) == (original.deprecation_reason is None)
            for arg_name, arg in field.args.items():
                assert str(arg.type) == str(original.args[arg_name].type)
                assert str(arg.default_value) == str(original.args[arg_name].default_value)
        if isinstance(type_, GraphQLObjectType):
            assert {one.name for one in type_.interfaces} <= {one.name for one in whole.type_map[name].interfaces}


def test_a_schema_that_lacks_a_kept_type_is_refused() -> None:
    with pytest.raises(KeyError, match="Order"):
        cut_schema.cut(build_schema("type QueryRoot { a: Int }", assume_valid=True))
