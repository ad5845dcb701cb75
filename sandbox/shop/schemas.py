"""The Admin schemas that are served, in: a version and the text of a query; out: a schema, a document or refusals.

Knows versions and validation, not execution. Source: https://shopify.dev/docs/api/usage/versioning.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from graphql import DocumentNode, GraphQLError, TypeInfo, TypeInfoVisitor, Visitor, build_schema, parse, validate, visit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import FieldNode, GraphQLScalarType, GraphQLSchema

FOLDER = Path(__file__).parent / "schema"
VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")  # supported in November 2026
RETIRED = ("2025-07", "2025-10")


def served_version(asked: str, versions: Sequence[str] = VERSIONS) -> str:
    """Return the version that answers: a retired one falls forward to the oldest supported, one to come is served."""
    return asked if asked in versions or asked > versions[-1] else versions[0]


@cache
def schema(version: str) -> GraphQLSchema:
    """Return the cut schema of a version, or the nearest that is here; times leave to the second."""
    here = sorted(path.stem.removeprefix("admin-") for path in FOLDER.glob("admin-*.graphql"))
    nearest = max((one for one in here if one <= version), default=here[0])
    built = build_schema((FOLDER / f"admin-{nearest}.graphql").read_text(encoding="utf-8"), assume_valid=True)
    cast("GraphQLScalarType", built.type_map["DateTime"]).coerce_output_value = lambda at: f"{at[:19]}Z"
    return built


@lru_cache(maxsize=256)
def read_document(version: str, query: str) -> DocumentNode | list[GraphQLError]:
    """Parse and validate a query; returns the document, or why it is refused."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return [error]
    return validate(schema(version), document) or document


def refusal(error: GraphQLError) -> dict[str, Any]:
    """Format why a query is invalid; an unknown field in the words of graphql-ruby, which Shopify runs."""
    found = re.match(r"Cannot query field '(\w+)' on type '(\w+)'", error.message)
    formatted: dict[str, Any] = dict(error.formatted)
    if found:
        name, type_name = found.groups()
        formatted["message"] = f"Field '{name}' doesn't exist on type '{type_name}'"
        formatted["extensions"] = {"code": "undefinedField", "typeName": type_name, "fieldName": name}
    return formatted


@lru_cache(maxsize=256)
def deprecated_fields(version: str, query: str) -> str:
    """Return the deprecated fields of a query, such as `Customer.email, Order.totalPrice`; of an invalid one none."""
    document = read_document(version, query)
    if isinstance(document, list):
        return ""
    info = TypeInfo(schema(version))
    found: set[str] = set()

    class Deprecations(Visitor):
        """Collects them on a walk through the document."""

        def enter_field(self, node: FieldNode, *_: object) -> None:
            definition, parent = info.get_field_def(), info.get_parent_type()
            if definition and parent and definition.deprecation_reason is not None:
                found.add(f"{parent.name}.{node.name.value}")

    visit(document, TypeInfoVisitor(info, Deprecations()))
    return ", ".join(sorted(found))
