"""What a stream's fields are likely to mean, by names and schema alone."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from target_posthog.mapping.likely import person_of, time_of

if TYPE_CHECKING:
    from target_posthog.mapping.language.functions import JSON

TIME = {"type": ["null", "string"], "format": "date-time"}
DAY = {"type": ["null", "string"], "format": "date"}


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"last_modified_date": TIME, "signed_up_at": TIME}, "signed_up_at"),
        ({"updated_at": TIME, "created_at": TIME, "processed_at": TIME}, "created_at"),
        ({"updatedAt": TIME, "createdAt": TIME}, "createdAt"),
        ({"due_date": DAY, "birthday": DAY, "date": DAY}, "date"),
        ({"expires_at": TIME, "next_renewal_on": TIME, "trial_ends_at": TIME, "ordered_at": TIME}, "ordered_at"),
        ({"DateOfBirth": TIME, "LastModifiedDate": TIME, "CreatedDate": TIME, "SystemModstamp": TIME}, "CreatedDate"),
        ({"_sdc_extracted_at": TIME, "at": TIME}, "at"),
        ({"zeta": TIME, "alpha": TIME}, "alpha"),
        ({"modified": TIME, "due": DAY, "last_login": TIME}, None),
        ({"id": {"type": "integer"}, "name": {"type": "string"}}, None),
        ({"created_by": {"type": "string"}, "date_created": {"anyOf": [TIME, {"type": "null"}]}}, "date_created"),
        ({"created_at": {"type": ["null", "string"]}, "updated_at": TIME}, "created_at"),
        ({"created_by": {"type": "string"}, "at": {"type": "string"}}, None),
    ],
)
def test_the_time_is_one_that_does_not_change_whatever_the_order_of_columns(
    fields: dict[str, JSON], right: str | None
) -> None:
    found = {time_of({"properties": dict(order)}) for order in permutations(fields.items())}
    assert {one and one.field for one in found} == {right}


@pytest.mark.parametrize("kind", ["integer", ["null", "number"]])
def test_a_number_is_a_time_only_by_a_sure_name(kind: JSON) -> None:
    found = time_of({"properties": {"created": {"type": kind}, "amount": {"type": kind}}})
    assert found is not None
    assert found.expression == "from_unix(created)"
    assert time_of({"properties": {"date": {"type": kind}, "days": {"type": kind}}}) is None


def test_a_name_with_blanks_is_quoted() -> None:
    found = time_of({"properties": {"Created At": TIME}})
    assert found is not None
    assert found.expression == '"Created At"'


def test_a_property_that_may_be_anything_is_no_time() -> None:
    assert time_of({"properties": {"created": True}}) is None
    assert time_of({}) is None


def test_a_person_is_known_by_an_e_mail_before_a_number() -> None:
    assert person_of({"properties": {"user_id": {}, "email": {}}}) == ["lower(trim(email))", "user_id"]
