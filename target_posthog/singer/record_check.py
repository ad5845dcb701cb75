"""Check of records against their stream's schema.

Takes a schema of any draft, then records; returns what is wrong with them. What it says names fields and never quotes a
value, for records hold personal data.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import jsonschema_rs
from singer_sdk.exceptions import InvalidJSONSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Step = str | int
# Newest first, by a part of the address in `$schema`; taps name one seldom, and sometimes a wrong one.
VALIDATORS = {
    "2020-12": jsonschema_rs.Draft202012Validator,
    "2019-09": jsonschema_rs.Draft201909Validator,
    "draft-07": jsonschema_rs.Draft7Validator,
    "draft-06": jsonschema_rs.Draft6Validator,
    "draft-04": jsonschema_rs.Draft4Validator,
}
DRAFT_3 = "draft-03"  # which jsonschema alone knows; a hundred times slower
PATTERNS = ("pattern", "patternProperties")
REMEDY = "`validate_records: false` takes records as they are"

logger = logging.getLogger(__name__)


class _Wrong(NamedTuple):
    """Where a record or a schema is wrong, and by which keyword."""

    path: Sequence[Step]
    keyword: str


class RecordCheck:
    """Checks records against a stream's schema, compiled once by the draft that it is written in.

    What can't be checked here is passed over with a warning: a pattern that is no regular expression of JavaScript's,
    and a reference to another document, which isn't fetched. Raises InvalidJSONSchema for what no draft allows.
    """

    def __init__(self, stream: str, schema: Mapping[str, Any]) -> None:
        known, self._passed_over = _checkable(schema)
        self._wrong = self._compiled(stream, known)
        if self._passed_over:
            fields = ", ".join(f"`{field}`" for field in sorted(set(self._passed_over)))
            logger.warning("The schema of stream `%s` has what can't be checked here, for %s", stream, fields)

    def problem(self, record: Mapping[str, Any]) -> str | None:
        """Return what is wrong with a record, naming the field and not its value; None if nothing is."""
        wrong = self._wrong(record)
        if wrong is None:
            return None
        place = ".".join(str(step) for step in wrong.path) or "the record"
        return f"`{place}` isn't as the stream's schema says (`{wrong.keyword}`; {REMEDY})"

    def _compiled(self, stream: str, schema: dict[str, Any]) -> Callable[[Mapping[str, Any]], _Wrong | None]:
        """Return the check by the draft that is named, else by the newest that allows the schema."""
        problems: list[jsonschema_rs.ValidationError] = []
        for make in _drafts(str(schema.pop("$schema", "")), is_old=_has_flag(schema)):
            while True:
                try:
                    return make(schema)
                except jsonschema_rs.ValidationError as error:  # noqa: PERF203  # once a stream
                    if not self._without_pattern(schema, error.instance_path):
                        problems.append(error)
                        break
                except (ValueError, jsonschema_rs.ReferencingError, jsonschema.SchemaError):
                    break
        raise InvalidJSONSchema(_sentence(stream, problems))

    def _without_pattern(self, schema: dict[str, Any], path: Sequence[Step]) -> bool:
        """Take away the pattern at a path; say whether there was one."""
        at = next((at for at, step in enumerate(path) if step in PATTERNS), None)
        if at is None:
            return False
        holder: Any = schema
        for step in path[:at]:
            holder = holder[step]
        if not isinstance(holder, dict) or not isinstance(holder.pop(path[at], None), (str, dict)):
            return False
        self._passed_over.append(_field(path[:at]))
        return True


def _drafts(
    named: str, *, is_old: bool
) -> Iterator[Callable[[dict[str, Any]], Callable[[Mapping[str, Any]], _Wrong | None]]]:
    """Yield what compiles a schema, draft by draft: the named one first, draft 3 only where the schema is so old."""
    first = [validator for part, validator in VALIDATORS.items() if part in named]
    if DRAFT_3 in named or is_old:
        yield _of_draft_3
    for validator in dict.fromkeys([*first, *VALIDATORS.values()]):
        yield partial(_of_newer, validator)


def _of_newer(
    validator: Callable[..., jsonschema_rs.Validator], schema: dict[str, Any]
) -> Callable[[Mapping[str, Any]], _Wrong | None]:
    compiled = validator(schema, validate_formats=False, retriever=_nowhere)

    def wrong(record: Mapping[str, Any]) -> _Wrong | None:
        if compiled.is_valid(record):
            return None
        error = next(iter(compiled.iter_errors(record)))
        return _Wrong(error.instance_path, str(error.schema_path[-1]))

    return wrong


def _of_draft_3(schema: dict[str, Any]) -> Callable[[Mapping[str, Any]], _Wrong | None]:
    jsonschema.Draft3Validator.check_schema(schema)
    compiled = jsonschema.Draft3Validator(schema)

    def wrong(record: Mapping[str, Any]) -> _Wrong | None:
        error = next(compiled.iter_errors(record), None)
        return error and _Wrong(list(error.absolute_path), str(error.schema_path[-1]))

    return wrong


def _checkable(schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a copy of a schema that refers to nothing elsewhere or missing, and the fields that did."""
    passed_over: list[str] = []

    def copied(value: Any, path: tuple[Step, ...]) -> Any:  # noqa: ANN401  # any JSON value
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str) and not _is_here(schema, reference):
                passed_over.append(_field(path))
                return {}
            return {key: copied(part, (*path, key)) for key, part in value.items()}
        return [copied(part, (*path, at)) for at, part in enumerate(value)] if isinstance(value, list) else value

    return copied(schema, ()), passed_over


def _is_here(schema: Mapping[str, Any], reference: str) -> bool:
    """Say whether a reference leads to a place of the schema itself: https://www.rfc-editor.org/rfc/rfc6901."""
    address, _, pointer = reference.partition("#")
    if address or (pointer and not pointer.startswith("/")):
        return not address and _has_anchor(schema, pointer)
    place: Any = schema
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and key.isdigit() and int(key) < len(place):
            place = place[int(key)]
        elif isinstance(place, dict) and key in place:
            place = place[key]
        else:
            return False
    return True


def _has_flag(value: Any) -> bool:  # noqa: ANN401  # any JSON value
    """Say whether a schema marks single fields as required, as draft 3 does; later ones list them."""
    if isinstance(value, dict):
        return isinstance(value.get("required"), bool) or any(_has_flag(part) for part in value.values())
    return isinstance(value, list) and any(_has_flag(part) for part in value)


def _has_anchor(value: Any, name: str) -> bool:  # noqa: ANN401  # any JSON value
    if isinstance(value, dict):
        named = name in {value.get("$anchor"), value.get("$dynamicAnchor")} or f"#{name}" in {
            id_ for id_ in (value.get("$id"), value.get("id")) if isinstance(id_, str)
        }
        return named or any(_has_anchor(part, name) for part in value.values())
    return isinstance(value, list) and any(_has_anchor(part, name) for part in value)


def _field(path: Sequence[Step]) -> str:
    """Return the field that a place of a schema is about."""
    names = [
        str(path[at + 1]) for at in range(len(path) - 1) if path[at] == "properties" and isinstance(path[at + 1], str)
    ]
    return ".".join(names) or "the record"


def _sentence(stream: str, problems: Sequence[jsonschema_rs.ValidationError]) -> str:
    """Return what is wrong with a schema that no draft allows, by the last that was tried."""
    where = ""
    if problems and problems[-1].instance_path:
        path = problems[-1].instance_path
        where = f": `{path[-1]}` of `{_field(path)}`" if _field(path) != "the record" else f": `{path[-1]}`"
    return f"The schema of stream `{stream}` is no valid JSON schema of any draft{where}; {REMEDY}"


def _nowhere(address: str) -> NoReturn:
    """Refuse to fetch what a schema refers to: whoever writes one must not choose what is asked or read from here."""
    raise ValueError(address)
